"""The command that ends overdue holds and grants, as tests run it."""

from io import StringIO

from django.core.management import call_command


def tidy() -> tuple[object, str, str]:
    """Run it; the exit code, what it said, and what it said of trouble."""
    out, trouble = StringIO(), StringIO()
    code: object = 0
    try:
        call_command("tidy", stdout=out, stderr=trouble)
    except SystemExit as end:
        code = end.code
    return code, out.getvalue().strip(), trouble.getvalue().strip()
