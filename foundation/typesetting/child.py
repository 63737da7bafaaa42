"""The program that sets one PDF file: the template is its argument, JSON its input, the file its output.

It runs without the service: it imports nothing of it, and may use a gigabyte and ten seconds at most. It has
a lower priority than the web processes, so that a file never slows down a charge.
"""

import os
import resource
import sys
from pathlib import Path

import noto_cjk_sans_otc
import typst

MEMORY_BYTES_MAX = 1 << 30
CPU_SECONDS_MAX = 10
FONTS = Path(__file__).with_name("fonts")


def main(template: Path, data: str) -> bytes:
    """Return the file, as PDF/UA-1. If no font knows a character, return a tagged PDF that says so."""
    fonts = typst.Fonts(
        include_system_fonts=False,  # Two servers would make two files of the same data.
        include_embedded_fonts=False,
        font_paths=[FONTS, Path(str(noto_cjk_sans_otc.FONT_PATH)).parent],
    )
    compiler = typst.Compiler(template, root=template.parent, font_paths=fonts)
    try:
        made = compiler.compile(format="pdf", sys_inputs={"data": data}, pdf_standards=["ua-1"], timestamp=0)
    except typst.TypstError as error:
        if "could not be displayed" not in error.message:
            raise
        made = compiler.compile(format="pdf", sys_inputs={"data": data, "unknown": "yes"}, timestamp=0)
    assert isinstance(made, bytes), "a PDF is one file"
    return made


if __name__ == "__main__":
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    sys.stdout.buffer.write(main(Path(sys.argv[1]), sys.stdin.buffer.read().decode()))
