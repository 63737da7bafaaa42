"""Every state has its colour in one place, and no template chooses another one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models

from backoffice.credits import reversals
from foundation import states

STATE_FIELDS = {"state", "status", "outcome"}


def words() -> Iterator[tuple[Any, str]]:
    """The words of every state that our rows can have, stored or computed."""
    for model in apps.get_models():
        if not model.__module__.startswith(("accounts.", "wallet.", "monetization.")):
            continue
        for field in model._meta.get_fields():
            if field.name in STATE_FIELDS and getattr(field, "choices", None):
                choices: Any = field.choices  # type: ignore[union-attr]
                yield from ((model, label) for _, label in choices)
        computed = getattr(model, "State", None)
        if computed and issubclass(computed, models.TextChoices):
            yield from ((model, label) for label in computed.labels)
    yield from ((reversals, word) for word in reversals.REFUND_STATUSES.values())
    yield from ((reversals, word) for word in reversals.DISPUTE_STATUSES.values())


def test_each_state_has_its_colour():
    found = list(words())
    assert len(found) > 40
    assert [(source, word) for source, word in found if word not in states.TONES] == []


def test_a_word_has_one_colour():
    assert len(states.TONES) == sum(map(len, states._WORDS.values()))


def test_no_page_gives_a_state_a_colour_of_its_own():
    pages = list(Path(settings.BASE_DIR, "templates").rglob("*.html"))
    given = {
        (page.name, word)
        for page in pages
        for word, _tone in re.findall(r'\{% tag "([^"]+)" "(\w*)" %\}', page.read_text())
    }
    assert len(pages) > 100
    assert not {(page, word) for page, word in given if word in states.TONES}
    displays = [page.name for page in pages if re.search(r"\{% tag \S+_display \S+ %\}", page.read_text())]
    assert displays == []


def test_a_tag_has_the_word_and_its_colour():
    assert states.tag("Past due").strip() == '<span class="tag tag-warn">Past due</span>'
    assert states.tag("Ended").strip() == '<span class="tag">Ended</span>'
    assert states.tag("A <name>").strip() == '<span class="tag">A &lt;name&gt;</span>'
