"""Users and staff for tests. Credits and entries are written only by the ledger's own verbs."""

from typing import Any

import factory
from django.test import Client

from accounts.models import User
from accounts.signing_in import second_factor, sessions

SECOND_FACTOR_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def enter(client: Client, member: User) -> None:
    """Sign a staff member in, with the second factor passed."""
    client.force_login(member)
    session = client.session
    sessions.note_passed(session, member)
    session.save()


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A Misar user on the free plan."""

    class Meta:
        model = User

    misar_id = factory.Sequence(lambda number: f"usr_{number}")
    email = factory.LazyAttribute(lambda user: f"{user.misar_id}@example.com")
    name = "Test User"


class StaffFactory(UserFactory):
    """A staff member who may do everything; `with_second_factor=False` makes one without a second factor."""

    class Meta:
        skip_postgeneration_save = True

    misar_id = factory.Sequence(lambda number: f"staff:{number + 100}")  # Below: tests.wallet.by_hand
    is_staff = True
    is_superuser = True

    @factory.post_generation
    def with_second_factor(user: User, create: bool, wanted: bool | None, **kwargs: Any) -> None:
        if create and wanted is not False:
            second_factor.set_up(user, SECOND_FACTOR_SECRET)
