"""What MkDocs does differently from GitHub, where the same files are read: links out of docs/."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
# They lie beside docs/, and belong to the site, too.
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie beside docs/."""
    for name in BESIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Mend links: into the site where the page is there, to plain text where it is not."""
    folder = (
        ROOT if page.file.src_uri in BESIDE else Path(page.file.abs_src_path).parent
    ).resolve()
    inside = ROOT / "docs"
    here = inside / Path(page.file.src_uri).parent

    def mended(link: re.Match[str]) -> str:
        target, _, anchor = link[3].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return link[0]
        file = (folder / target).resolve()
        if file.parent == ROOT and file.name in BESIDE:
            file = inside / file.name
        if file.is_dir():
            file = file / "README.md"
        if not file.is_relative_to(inside):
            return link[2]
        to = os.path.relpath(file, here)
        return f"{link[1]}[{link[2]}]({to}{'#' if anchor else ''}{anchor})"

    return _LINK.sub(mended, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Take away the backslash that GitHub wants before a bar within code in a table."""
    return re.sub(r"<td.*?</td>", lambda cell: cell[0].replace("\\|", "|"), html, flags=re.DOTALL)


def on_post_page(output: str, **_: Any) -> str:
    """Give the dialog of the search the name that the theme forgets."""
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">')
