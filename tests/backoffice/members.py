"""Members of staff with roles, and their browsers."""

from typing import Any

from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from tests.factories import StaffFactory, enter


def member_of(*roles: str, **fields: Any) -> User:
    member = StaffFactory.create(is_superuser=False, **fields)
    member.groups.set(Group.objects.filter(name__in=roles))
    return member


def signed_in(member: User) -> Client:
    client = Client()
    enter(client, member)
    return client
