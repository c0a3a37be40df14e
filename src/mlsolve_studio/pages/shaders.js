// The light table's one fragment shader: light through up to sixteen sheets, as mlsolve.compose computes it.
// A pixel of the canvas shows a pixel of the stack, or the mean light of several. A pixel of the stack is
// the product of the sheets there (docs/maths.md §1), each fetched through its own map as in scoring/placed.py: a map
// that takes pixels to pixels copies them, any other interpolates encoded transmittance. Beyond a sheet there is light.

export const MOST = 16;

export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

/**
 * @param {{inks: boolean, tiled: boolean, between: boolean}} kind inks: whether sheets are device codes; tiled: whether
 * larger pictures of the sheets lie in tiles; between: whether any map leads between pixels, without which a frame
 * takes half the time where a processor draws
 */
export function fragment(kind) {
  return `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp sampler2DArray;
precision highp usampler2DArray;
${kind.inks ? "#define INKS" : ""}
${kind.tiled ? "#define TILED" : ""}
${kind.between ? "#define BETWEEN" : ""}
#define MOST ${MOST}

uniform sampler2DArray uSheets;     // code values, one layer a sheet
uniform ivec2 uHeld;                // width and height of these
uniform ivec2 uSize;                // width and height of the stack that is shown
uniform int uCount;                 // sheets that lie on the box
uniform int uSheet[MOST];           // which layer each is
uniform vec3 uRow[MOST];            // row = uRow · (y, x, 1)
uniform vec3 uColumn[MOST];
uniform float uHere[MOST];          // 1 on the box, less while it is lifted
uniform int uBetween[MOST];         // 1 where a map leads between pixels

uniform vec3 uView;                 // x and y on the canvas of the stack's corner, and pixels of canvas a pixel of stack
uniform float uTall;                // height of the canvas
uniform int uSamples;               // places a side that are averaged
uniform vec4 uBox;                  // left, top, right, bottom of the light box, in pixels of the stack
uniform float uCorner;              // radius of its corners
uniform float uLamp;                // light of the box, in units of the white that was solved for
uniform float uRoom;                // light of the room that the front reflects, in the same units
uniform float uWhite;               // what the eye takes for white, in the same units
uniform vec3 uTable;                // linear light of the table around the box
uniform int uMode;                  // 0 the stack, 1 the target
uniform sampler2D uTarget;
uniform vec4 uSplit;                // left, top, right, bottom of the canvas where the target is shown
uniform vec2 uAside;                // how far it is shown beside the stack
uniform int uPart;                  // 0 what is seen; 1 its code values, 2 what it has beyond them, -0.5 to 0.5

#ifdef INKS
uniform sampler2D uCurves;          // (code, channel): factors of light in three bands
uniform vec3 uBase;
uniform mat3 uEye;
uniform float uReflectance;
#endif
#ifdef TILED
uniform sampler2DArray uTiles;
uniform usampler2DArray uPages;     // (column, row, sheet) of tiles: 0, or 1 + the layer in uTiles
uniform ivec3 uTiling;              // tile's side, 1 if there are pages; halvings from this stack to uSheets
#endif

out vec4 colour;

vec3 light_of(vec3 code) {
  return mix(pow((code + 0.055) / 1.055, vec3(2.4)), code / 12.92, vec3(lessThanEqual(code, vec3(0.04045))));
}

vec3 srgb_of(vec3 light) {
  return mix(1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, light * 12.92, vec3(lessThanEqual(light, vec3(0.0031308))));
}

vec3 through(vec3 code) {
#ifdef INKS
  ivec3 c = ivec3(code * 255.0 + 0.5);
  return uBase * texelFetch(uCurves, ivec2(c.r, 0), 0).rgb * texelFetch(uCurves, ivec2(c.g, 1), 0).rgb
    * texelFetch(uCurves, ivec2(c.b, 2), 0).rgb;
#else
  return light_of(code);
#endif
}

// What a sheet lets through at a pixel of it; beyond it there is nothing in the way.
vec3 sheet_at(int layer, ivec2 place) {
  if (place.x < 0 || place.y < 0 || place.x >= uSize.x || place.y >= uSize.y) return vec3(1.0);
#ifdef TILED
  if (uTiling.y == 1) {
    ivec2 tile = place / uTiling.x;
    uint page = texelFetch(uPages, ivec3(tile, layer), 0).r;
    if (page != 0u) return through(texelFetch(uTiles, ivec3(place - tile * uTiling.x, int(page) - 1), 0).rgb);
  }
  ivec2 held = min(place >> uTiling.z, uHeld - 1);
  return through(texelFetch(uSheets, ivec3(held, layer), 0).rgb);
#else
  return through(texelFetch(uSheets, ivec3(place, layer), 0).rgb);
#endif
}

vec3 encoded(vec3 light) { return pow(light, vec3(1.0 / 2.2)); }

vec3 placed(int k, vec2 yx) {
  vec3 at = vec3(yx, 1.0);
  float row = dot(uRow[k], at), column = dot(uColumn[k], at);
  int layer = uSheet[k];
#ifdef BETWEEN
  if (uBetween[k] == 0) return sheet_at(layer, ivec2(floor(column + 0.5), floor(row + 0.5)));
  vec2 whole = floor(vec2(column, row)), part = vec2(column, row) - whole;
  ivec2 first = ivec2(whole);
  if (first.x < -1 || first.y < -1 || first.x >= uSize.x || first.y >= uSize.y) return vec3(1.0);
  vec3 above = mix(encoded(sheet_at(layer, first)), encoded(sheet_at(layer, first + ivec2(1, 0))), part.x);
  vec3 below = mix(encoded(sheet_at(layer, first + ivec2(0, 1))), encoded(sheet_at(layer, first + ivec2(1, 1))), part.x);
  return pow(clamp(mix(above, below, part.y), 0.0, 1.0), vec3(2.2));
#else
  return sheet_at(layer, ivec2(floor(column + 0.5), floor(row + 0.5)));
#endif
}

#ifdef INKS
// What light reflected between equally dense sheets adds; see gain in light/ink/reference.py.
float gain(float light) {
  if (uReflectance == 0.0 || uCount < 2) return 1.0;
  float t = min(pow(light, 1.0 / float(uCount)), (1.0 - uReflectance) / (1.0 + uReflectance));
  float side = t / (1.0 - uReflectance), own = uReflectance * (1.0 + side * side);
  float factor = 1.0, behind = own;
  for (int n = 1; n < MOST; n++) {
    if (n >= uCount) break;
    float multiple = 1.0 / (1.0 - behind * own);
    factor *= multiple;
    behind = own + t * t * behind * multiple;
  }
  return factor;
}
#endif

// The light that a pixel of the stack sends to the eye, 0 to 1.
vec3 seen(vec2 yx) {
  vec3 light = vec3(1.0);
  for (int k = 0; k < MOST; k++) {
    if (k >= uCount) break;
    vec3 one = placed(k, yx);
    light *= uHere[k] == 1.0 ? one : mix(vec3(1.0), one, uHere[k]);
  }
#ifdef INKS
  vec3 bands = max(light, 0.0);
  bands *= uLamp * vec3(gain(bands.r), gain(bands.g), gain(bands.b));
  return clamp((uEye * bands + uRoom) / uWhite, 0.0, 1.0);
#else
  return clamp((light * uLamp + uRoom) / uWhite, 0.0, 1.0);
#endif
}

// How much of a place is on the box: 1 inside, 0 outside, between at its rim.
float on_box(vec2 place) {
  vec2 middle = (uBox.xy + uBox.zw) / 2.0, half_size = (uBox.zw - uBox.xy) / 2.0;
  vec2 beyond = abs(place - middle) - half_size + uCorner;
  float away = length(max(beyond, 0.0)) + min(max(beyond.x, beyond.y), 0.0) - uCorner;
  return clamp(0.5 - away * uView.z, 0.0, 1.0);
}

void main() {
  vec2 pixel = vec2(gl_FragCoord.x, uTall - gl_FragCoord.y);
  bool target = uMode == 1 && all(greaterThanEqual(pixel, uSplit.xy)) && all(lessThan(pixel, uSplit.zw));
  if (target) pixel -= uAside;
  vec2 centre = (pixel - uView.xy) / uView.z;
  float box = on_box(centre);
  vec3 sum = vec3(0.0);
  if (target) {
    bool inside = centre.x >= 0.0 && centre.y >= 0.0 && centre.x < float(uSize.x) && centre.y < float(uSize.y);
    if (!inside) { sum = vec3(1.0); } else {
      for (int j = 0; j < uSamples; j++) for (int i = 0; i < uSamples; i++) {
        vec2 place = centre + ((vec2(i, j) + 0.5) / float(uSamples) - 0.5) / uView.z;
        ivec2 size = textureSize(uTarget, 0);
        ivec2 at = clamp(ivec2(floor(place / vec2(uSize) * vec2(size))), ivec2(0), size - 1);
        sum += light_of(texelFetch(uTarget, at, 0).rgb);
      }
      sum /= float(uSamples * uSamples);
    }
  } else if (box > 0.0) {
    for (int j = 0; j < uSamples; j++) for (int i = 0; i < uSamples; i++) {
      vec2 place = floor(centre + ((vec2(i, j) + 0.5) / float(uSamples) - 0.5) / uView.z);
      sum += seen(place.yx);
    }
    sum /= float(uSamples * uSamples);
  }
  colour = vec4(srgb_of(mix(uTable, sum, box)), 1.0);
  if (uPart != 0) {
    vec3 codes = floor(colour.rgb * 255.0 + 0.5);
    colour.rgb = uPart == 1 ? codes / 255.0 : colour.rgb * 255.0 - codes + 0.5;
  }
}`;
}
