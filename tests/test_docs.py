"""What the pages say is so: examples run, commands use options that exist, links lead somewhere."""

import re
import shlex

import pytest

from conftest import ROOT

PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)
USE = [name for name in PAGES if name != "CHANGELOG.md"]
"""The pages that tell how to use what is there now."""

VERBS = (
    *("run", "resume", "estimate", "suggest", "verify", "animate", "view", "studio"),
    *("sheets", "inspect", "guide", "chart", "calibrate", "media", "info", "bench"),
)

TEXT = {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}
README = TEXT["README.md"]


def blocks(language: str, text: str) -> list[str]:
    """Return the fenced blocks of `language` in a page."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def prose(text: str) -> str:
    """Return a page without its fenced and indented blocks."""
    return re.sub(r"^    .*$", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """Return the calls of mlsolve in a page, word by word: those of indented blocks, and `mlsolve …` in a line."""
    indented = "\n".join(re.findall(r"^    (.*)$", text, re.MULTILINE)).replace("\\\n", " ").splitlines()
    in_line = re.findall(r"`(mlsolve [^`]+)`", prose(text).replace("\n", " "))
    split = [shlex.split(line, comments=True) for line in indented if re.match(r"(\.venv/bin/)?mlsolve ", line)]
    return split + [line.split() for line in in_line]


def run_examples(page: str, names: dict[str, object]) -> None:
    """Run the Python blocks of a page one after the other, in the current folder."""
    for code in blocks("python", TEXT[page]):
        exec(compile(code, page, "exec"), names)


def anchors(text: str) -> set[str]:
    """Return what the headings of a page can be linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short_and_in_order():
    assert len(README.splitlines()) <= 110
    titles = re.findall(r"^## (.*)$", README, re.MULTILINE)
    assert titles == ["Install", "One command", "From Python", "Gallery", "Five claims", "Where to read on"]
    picture, installing = README.index("!["), README.index("## Install")
    assert picture < installing
    claims = README[README.index("## Five claims") : README.index("## Where to read on")]
    assert len(re.findall(r"^- \*\*", claims, re.MULTILINE)) == 5
    for claim in re.split(r"^- \*\*", claims, flags=re.MULTILINE)[1:]:
        assert re.search(r"\]\(docs/[\w-]+\.md", claim), claim


def test_the_readme_leads_to_every_page():
    for name in PAGES:
        assert name == "README.md" or f"]({name}" in README, name


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run_examples("README.md", {})
    assert capsys.readouterr().out.splitlines() == ["(3, 300, 300, 3)", "0.99"]
    assert (tmp_path / "from-python" / "sheet.png").exists()


def test_the_examples_of_the_python_page_run(tmp_path, monkeypatch, capsys, save, picture):
    """All of them in order, the one that listens to a run among them, which has ten lines at most."""
    (tmp_path / "examples").mkdir()
    save("examples/woman.jpg", picture(96, 96))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    run_examples("docs/python.md", names)
    printed = capsys.readouterr().out
    assert "(3, 96, 96, 3)" in printed
    assert "(2, 96, 96, 3)" in printed
    assert "level 2 of 2" in printed
    assert "iterations listened" in printed
    assert names["preview"].shape == (64, 64, 3)  # type: ignore[attr-defined]
    assert (tmp_path / "from-python" / "layer-3.png").exists()
    assert (tmp_path / "listened" / "sheet.png").exists()
    (listening,) = [code for code in blocks("python", TEXT["docs/python.md"]) if "Session(" in code]
    assert len([line for line in listening.splitlines() if line]) <= 10


def test_the_readme_shows_what_a_run_prints(mlsolve, monkeypatch, tmp_path):
    """The words are those of the same command at a smaller size; figures may differ."""
    (shown,) = blocks("text", README)
    (command,) = commands(README)[:1]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    printed = mlsolve(*command[1:], "--size", 64, "--iterations", 2).out

    def words(text: str) -> list[str]:
        return [re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?", "#", line)) for line in text.strip().splitlines()]

    assert words(shown) == words(printed)


def test_every_file_of_a_run_is_described(mlsolve, tmp_path, save, picture):
    assert mlsolve("run", save("t.png", picture(30, 30)), "--iterations", 1, "--out", "o").status == 0
    described = TEXT["docs/start.md"]
    for entry in (tmp_path / "o").iterdir():
        name = re.sub(r"\d", "1", entry.name)
        assert f"`{name}`" in described


def test_every_setting_that_pages_name_exists(mlsolve):
    """Options of commands are in the help of their verb; others in a line are in the help of some verb."""
    helped = {verb: mlsolve(verb, "--help").out for verb in VERBS}

    def has(verb: str, option: str) -> bool:
        return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", helped[verb]) is not None

    found = 0
    for name in USE:
        for command in commands(TEXT[name]):
            if not re.fullmatch(r"[a-z]+", command[1]):  # `mlsolve --version`
                continue
            assert command[1] in VERBS, (name, command)
            for option in (word for word in command[2:] if re.match(r"--?[a-z]", word)):
                found += 1
                assert has(command[1], option), (name, command, option)
        for option in re.findall(r"`(--[a-z][\w-]*)", prose(TEXT[name])):
            assert any(has(verb, option) for verb in VERBS), (name, option)
    assert found >= 25


def test_every_make_target_that_pages_name_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in USE:
        named = re.findall(r"(?:`|^    )make ([\w-]+)", TEXT[name], re.MULTILINE)
        assert set(named) <= targets, name


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Files and headings that a page links to exist, and pictures have a text for those who do not see them."""
    text = re.sub(r"```.*?```", "", TEXT[page], flags=re.DOTALL)
    for shown, link in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert shown.strip(), link
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    for name in re.findall(
        r"\b(?:docs|bench|examples|tests|src|kernels|cli)/[\w./-]+\.(?:md|py|jpg|png|toml|h)\b", TEXT[page]
    ):
        assert (ROOT / name).exists(), name


def test_sections_that_code_cites_are_there():
    """docs/maths.md has every section that a module or a page cites by its number."""
    maths = TEXT["docs/maths.md"]
    numbers = set(re.findall(r"^## (\d+) ", maths, re.MULTILINE))
    sources = [path for folder in ("src", "kernels", "cli", "bench") for path in (ROOT / folder).rglob("*.py")]
    for text in [*TEXT.values(), *(path.read_text(encoding="utf-8") for path in sources)]:
        for cited in re.findall(r"maths\.md((?:,? §\d+)+)", text):
            assert set(re.findall(r"\d+", cited)) <= numbers
    assert set(re.findall(r"§(\d+)", maths)) <= numbers


def test_every_module_is_on_the_map():
    map_text = TEXT["docs/architecture.md"]
    for package in ("kernels/mlsolve_kernels", "src/mlsolve"):
        for entry in (ROOT / package).iterdir():
            if entry.name.startswith("_") or entry.name == "py.typed":
                continue
            assert entry.name in map_text, entry


OUTWORN = (
    *("in other company", "must ask for the same", "turns carry onto", "lie off by", "give away a third"),
    *("gives away a third", "the least that will do", "is rubbish", "lay on each other", "lays on each other"),
    *("there is mostly one", "foretell", "by threes", "befall"),
)
"""Turns of phrase that the pages had and the glossary has better names for."""


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_in_plain_english(page):
    text = re.sub(r"\s+", " ", prose(TEXT[page])).lower()
    assert [words for words in OUTWORN if words in text] == []
