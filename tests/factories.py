"""Rows for the cast. Credits and entries come from the ledger's own verbs, never from here."""

import factory

from accounts.models import User


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A Misar user on the free plan."""

    class Meta:
        model = User

    misar_id = factory.Sequence(lambda number: f"usr_{number}")
    email = factory.LazyAttribute(lambda user: f"{user.misar_id}@example.com")
    name = "Somebody"


class StaffFactory(UserFactory):
    """Somebody of the back-office who may do everything."""

    misar_id = factory.Sequence(lambda number: f"staff:{number}")
    is_staff = True
    is_superuser = True
