// Draws the stack with WebGL2. Textures are filled when pictures arrive; a frame sets uniforms and nothing else.

import { fragment, MOST, VERTEX } from "./shaders.js";

/**
 * What one frame shows.
 * @typedef {object} Frame
 * @property {{sheet: number, map: number[], between: boolean, here: number}[]} sheets
 * @property {[number, number]} size of the stack at the level that is shown
 * @property {[number, number, number]} view x, y of the stack's corner on the canvas, pixels of canvas a pixel of stack
 * @property {number[]} box left, top, right, bottom in pixels of the stack
 * @property {number} corner
 * @property {number} lamp
 * @property {number} room
 * @property {number} white
 * @property {number[]} table linear light
 * @property {number} samples
 * @property {number[]|null} split left, top, right, bottom of the canvas where the target is shown
 * @property {[number, number]} aside how far it is shown beside the stack
 * @property {{pages: boolean, halvings: number}} [tiles]
 */

/** @typedef {import("./data.js").Inks} Inks */
/** @typedef {{program: WebGLProgram, places: Map<string, WebGLUniformLocation|null>}} Program */

/** Decodes a picture to its exact code values: no colours are converted, nothing is premultiplied. */
export function decoded(/** @type {Blob} */ blob) {
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "none" });
}

export class Renderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{size: [number, number], count: number, inks: Inks|null, tiled: boolean}} stack
   */
  constructor(canvas, stack) {
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, depth: false, stencil: false, preserveDrawingBuffer: false,
      powerPreference: "high-performance",
    });
    if (!gl) throw new Error("this browser has no WebGL 2");
    this.gl = gl;
    this.canvas = canvas;
    this.stack = stack;
    /** Bytes of textures that were filled since the last frame ended, and in all. */
    this.uploaded = 0;
    this.uploadedInAll = 0;
    gl.disable(gl.DITHER);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    /** Programs for frames with and without maps that lead between pixels. @type {Map<boolean, Program>} */
    this.programs = new Map();
    this.vertices = gl.createVertexArray();
    gl.bindVertexArray(this.vertices);
    this.sheets = this.#array(gl.RGBA8, stack.size, stack.count);
    /** @type {WebGLTexture|null} */
    this.target = null;
    this.noTarget = this.#plain([1, 1]);
    if (stack.inks) this.curves = this.#curves(stack.inks);
    this.#use(false);
  }

  /** Makes the program the one that draws. @param {boolean} between */
  #use(between) {
    const gl = this.gl, { stack } = this;
    let found = this.programs.get(between);
    if (!found) {
      const program = this.#linked(fragment({ inks: stack.inks !== null, tiled: stack.tiled, between }));
      found = { program, places: new Map() };
      this.programs.set(between, found);
      this.using = found;
      gl.useProgram(program);
      ["uSheets", "uTarget", "uCurves", "uTiles", "uPages"].forEach((name, unit) => gl.uniform1i(this.at(name), unit));
      gl.uniform2i(this.at("uHeld"), stack.size[0], stack.size[1]);
      if (stack.inks) this.#setInks(stack.inks);
    }
    this.using = found;
    gl.useProgram(found.program);
  }

  /** @param {string} name */
  at(name) {
    if (!this.using) throw new Error("no program draws yet");
    const { program, places } = this.using;
    if (!places.has(name)) places.set(name, this.gl.getUniformLocation(program, name));
    return places.get(name) ?? null;
  }

  /** @param {string} source of the fragment shader */
  #linked(source) {
    const gl = this.gl, program = gl.createProgram();
    /** @type {[number, string][]} */
    const sources = [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, source]];
    for (const [kind, text] of sources) {
      const shader = gl.createShader(kind);
      if (!shader) throw new Error("this browser makes no shader");
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? "shader");
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "program");
    return program;
  }

  /** @param {number} kind of texture */
  #nearest(kind) {
    const gl = this.gl;
    gl.texParameteri(kind, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(kind, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texParameteri(kind, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(kind, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  /** @param {number} format @param {[number, number]} size @param {number} layers */
  #array(format, size, layers) {
    const gl = this.gl, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, format, size[0], size[1], layers);
    this.#nearest(gl.TEXTURE_2D_ARRAY);
    return texture;
  }

  /** @param {[number, number]} size */
  #plain(size) {
    const gl = this.gl, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, size[0], size[1]);
    this.#nearest(gl.TEXTURE_2D);
    return texture;
  }

  /** @param {number} bytes */
  #count(bytes) {
    this.uploaded += bytes;
    this.uploadedInAll += bytes;
  }

  /** Film and inks as a table of what code values let through. @param {Inks} inks */
  #curves(inks) {
    const gl = this.gl, table = new Float32Array(256 * 3 * 4), grey = inks.curves.length === 1;
    for (let channel = 0; channel < 3; channel++) {
      for (let code = 0; code < 256; code++) {
        const at = (channel * 256 + code) * 4;
        // Grey is held in three equal planes, of which the first is looked through.
        const own = grey ? (channel ? [1] : inks.curves[0][code]) : inks.curves[channel][code];
        for (let band = 0; band < 3; band++) table[at + band] = own[grey ? 0 : band];
      }
    }
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, 256, 3);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 3, gl.RGBA, gl.FLOAT, table);
    this.#nearest(gl.TEXTURE_2D);
    return texture;
  }

  /** @param {Inks} inks */
  #setInks(inks) {
    const gl = this.gl, grey = inks.curves.length === 1;
    gl.uniform3fv(this.at("uBase"), grey ? [inks.base[0], inks.base[0], inks.base[0]] : inks.base);
    const eye = grey ? [[1, 0, 0], [0, 1, 0], [0, 0, 1]] : inks.eye;
    // By columns, as GLSL has them.
    gl.uniformMatrix3fv(this.at("uEye"), false, [0, 1, 2].flatMap((b) => [0, 1, 2].map((p) => eye[p][b])));
    gl.uniform1f(this.at("uReflectance"), inks.reflectance);
  }

  /** Takes a sheet in. @param {number} number from 0 @param {ImageBitmap} picture */
  takeSheet(number, picture) {
    const gl = this.gl, [width, height] = this.stack.size;
    if (picture.width !== width || picture.height !== height) throw new Error(`sheet ${number + 1} has another size`);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.sheets);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, number, width, height, 1, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    this.#count(4 * width * height);
  }

  /** Makes the texture of a target. @param {ImageBitmap} picture */
  targetOf(picture) {
    const gl = this.gl, texture = this.#plain([picture.width, picture.height]);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, picture.width, picture.height, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    this.#count(4 * picture.width * picture.height);
    return texture;
  }

  /**
   * Makes room for tiles.
   * @param {number} side @param {number} slots @param {[number, number]} pages most columns and rows of tiles
   */
  makeRoomForTiles(side, slots, pages) {
    const gl = this.gl;
    this.tiles = this.#array(gl.RGBA8, [side, side], slots);
    this.pages = this.#array(gl.R16UI, pages, this.stack.count);
    this.tileSide = side;
    this.pageSize = pages;
  }

  /** @param {number} slot @param {ImageBitmap} picture */
  takeTile(slot, picture) {
    const gl = this.gl;
    if (this.tiles === undefined) throw new Error("no room was made for tiles");
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.tiles);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, slot, picture.width, picture.height, 1, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    this.#count(4 * picture.width * picture.height);
  }

  /** Says where the tiles of all sheets are. @param {Uint16Array} table (sheet, row, column): 0, or 1 + slot */
  takePages(table) {
    if (this.pages === undefined || this.pageSize === undefined) throw new Error("no room was made for tiles");
    const gl = this.gl, [across, down] = this.pageSize;
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.pages);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, across, down, this.stack.count, gl.RED_INTEGER, gl.UNSIGNED_SHORT, table);
    this.#count(table.byteLength);
  }

  /**
   * Draws a frame onto the canvas, or into a picture of its own.
   * @param {Frame} frame @param {[number, number]} [size] of what is drawn on @param {number} [part] see the shader
   */
  draw(frame, size = [this.canvas.width, this.canvas.height], part = 0) {
    const gl = this.gl;
    this.#use(frame.sheets.some((sheet) => sheet.between));
    gl.bindVertexArray(this.vertices);
    this.#bind(0, gl.TEXTURE_2D_ARRAY, this.sheets);
    this.#bind(1, gl.TEXTURE_2D, this.target ?? this.noTarget);
    if (this.curves) this.#bind(2, gl.TEXTURE_2D, this.curves);
    if (this.tiles && this.pages) {
      this.#bind(3, gl.TEXTURE_2D_ARRAY, this.tiles);
      this.#bind(4, gl.TEXTURE_2D_ARRAY, this.pages);
    }
    if (this.stack.tiled) {
      gl.uniform3i(this.at("uTiling"), this.tileSide ?? 1, frame.tiles?.pages ? 1 : 0, frame.tiles?.halvings ?? 0);
    }
    const count = Math.min(frame.sheets.length, MOST);
    const which = new Int32Array(MOST), between = new Int32Array(MOST), here = new Float32Array(MOST);
    const rows = new Float32Array(3 * MOST), columns = new Float32Array(3 * MOST);
    frame.sheets.slice(0, MOST).forEach((sheet, k) => {
      which[k] = sheet.sheet;
      between[k] = sheet.between ? 1 : 0;
      here[k] = sheet.here;
      rows.set(sheet.map.slice(0, 3), 3 * k);
      columns.set(sheet.map.slice(3), 3 * k);
    });
    gl.uniform1i(this.at("uCount"), count);
    gl.uniform1iv(this.at("uSheet"), which);
    gl.uniform1iv(this.at("uBetween"), between);
    gl.uniform1fv(this.at("uHere"), here);
    gl.uniform3fv(this.at("uRow"), rows);
    gl.uniform3fv(this.at("uColumn"), columns);
    gl.uniform2i(this.at("uSize"), frame.size[0], frame.size[1]);
    gl.uniform3f(this.at("uView"), frame.view[0], frame.view[1], frame.view[2]);
    gl.uniform1f(this.at("uTall"), size[1]);
    gl.uniform1i(this.at("uSamples"), frame.samples);
    gl.uniform4f(this.at("uBox"), frame.box[0], frame.box[1], frame.box[2], frame.box[3]);
    gl.uniform1f(this.at("uCorner"), frame.corner);
    gl.uniform1f(this.at("uLamp"), frame.lamp);
    gl.uniform1f(this.at("uRoom"), frame.room);
    gl.uniform1f(this.at("uWhite"), frame.white);
    gl.uniform3f(this.at("uTable"), frame.table[0], frame.table[1], frame.table[2]);
    gl.uniform1i(this.at("uMode"), frame.split && this.target ? 1 : 0);
    gl.uniform4fv(this.at("uSplit"), frame.split ?? [0, 0, 0, 0]);
    gl.uniform2f(this.at("uAside"), frame.aside[0], frame.aside[1]);
    gl.uniform1i(this.at("uPart"), part);
    gl.viewport(0, 0, size[0], size[1]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    const uploaded = this.uploaded;
    this.uploaded = 0;
    return uploaded;
  }

  /** @param {number} unit @param {number} kind @param {WebGLTexture} texture */
  #bind(unit, kind, texture) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(kind, texture);
  }

  /** The code values of the canvas as it was just drawn, RGBA from the top; in the same task as `draw`. */
  pixels(left = 0, top = 0, width = this.canvas.width, height = this.canvas.height) {
    const gl = this.gl, found = new Uint8Array(4 * width * height);
    gl.readPixels(left, this.canvas.height - top - height, width, height, gl.RGBA, gl.UNSIGNED_BYTE, found);
    return upsideDown(found, width, height);
  }

  /**
   * Draws a frame beside the canvas, and reads it when the GPU has finished, without waiting for it.
   * @param {Frame} frame @param {[number, number]} size
   * @returns {Promise<Uint8Array>} RGBA from the top: code values, then what there is beyond them (the shader's parts)
   */
  async drawn(frame, size) {
    const gl = this.gl;
    if (this.aside?.size[0] !== size[0] || this.aside?.size[1] !== size[1]) {
      if (this.aside) {
        gl.deleteFramebuffer(this.aside.frame);
        gl.deleteTexture(this.aside.texture);
      }
      gl.activeTexture(gl.TEXTURE0 + 7);
      const texture = this.#plain(size), into = gl.createFramebuffer();
      gl.bindFramebuffer(gl.FRAMEBUFFER, into);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
      this.aside = { size, texture, frame: into };
    }
    const aside = this.aside;
    gl.bindFramebuffer(gl.FRAMEBUFFER, aside.frame);
    const before = this.uploaded, buffer = gl.createBuffer(), bytes = 4 * size[0] * size[1];
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.bufferData(gl.PIXEL_PACK_BUFFER, 2 * bytes, gl.STREAM_READ);
    for (const part of [1, 2]) {
      this.draw(frame, size, part);
      gl.readPixels(0, 0, size[0], size[1], gl.RGBA, gl.UNSIGNED_BYTE, (part - 1) * bytes);
    }
    this.uploaded = before;
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (fence && gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) {
      await new Promise((done) => setTimeout(done, 8));
    }
    gl.deleteSync(fence);
    const found = new Uint8Array(2 * bytes);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, found);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    gl.deleteBuffer(buffer);
    for (const at of [0, bytes]) found.set(upsideDown(found.subarray(at, at + bytes), size[0], size[1]), at);
    return found;
  }
}

/** WebGL's rows begin at the bottom. @param {Uint8Array} pixels @param {number} width @param {number} height */
function upsideDown(pixels, width, height) {
  const row = 4 * width, turned = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) turned.set(pixels.subarray(y * row, (y + 1) * row), (height - 1 - y) * row);
  return turned;
}
