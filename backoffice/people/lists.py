"""The lists of users, plans, keys, roles and acts. What staff may do to the rows is in actions.py."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from accounts.models import (
    Act,
    ApiKey,
    KeyQuerySet,
    OutgoingMail,
    Plan,
    PlanChange,
    Right,
    ServiceKey,
    ServiceKeyQuerySet,
    User,
)
from backoffice.actions.pages import ActingAdmin
from backoffice.lists.change_list import is_private
from backoffice.lists.columns import actor_column, column
from backoffice.lists.links import row_link, user_link
from backoffice.lists.read_only import ReadOnlyAdmin
from backoffice.lists.totals import States
from backoffice.people import actions
from backoffice.roles import roles_of
from foundation import money
from foundation.calendar import day_of
from wallet.models import GrantedMonth

MEMBERS_SHOWN_MAX = 100

# Remove the pages that can edit identities and secrets (from allauth) and roles (from Django).
for model in (EmailAddress, SocialAccount, SocialApp, SocialToken, Authenticator, Group):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class StoppedFilter(SimpleListFilter):
    """Service keys of stopped products, or of the others."""

    title = "product"
    parameter_name = "stopped"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Stopped"), ("no", "Not stopped")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() is None:
            return queryset
        if self.value() not in {"yes", "no"}:
            raise IncorrectLookupParameters
        return queryset.filter(product_stopped_at__isnull=self.value() == "no")


class KeyAdmin(ActingAdmin):
    """The base of the lists of keys. A key's last use is in another table, and is read in the same query."""

    also_in_files: ClassVar[Sequence[str]] = ("last_used_at",)
    last_used = column("last used at", lambda key: key.last_used_at)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return cast(KeyQuerySet, super().get_queryset(request)).with_last_use()


@admin.register(ServiceKey)
class ServiceKeyAdmin(KeyAdmin):
    list_display = (
        *("prefix", "product", "stopped", "its_rights", "feature_prefixes"),
        *("created_at", "last_used", "expires_at", "revoked_at"),
    )
    two_lines = ("prefix", "", "created_at", "product")
    also_sortable_by = {
        **{"product": ("product",), "created_at": ("created_at",)},
        **{"expires_at": ("expires_at",), "revoked_at": ("revoked_at",)},
    }
    list_filter = (StoppedFilter,)
    lookups = ("product__exact",)
    search_fields = ("product", "prefix")
    search_help_text = "A whole product name, or the twelve characters of a key that are shown."
    exclude = ("digest",)
    fields = (
        *("product", "stopped", "prefix", "its_rights", "grant_cap", "month_cap", "granted_now"),
        *("feature_prefixes", "created_at", "last_used", "expires_at", "revoked_at"),
    )
    nothing_yet = "No product has a key, so none can charge."
    staff_actions = actions.OF_SERVICE_KEY
    addition = actions.NEW_SERVICE_KEY
    also_in_files = (*KeyAdmin.also_in_files, "product_stopped_at")
    stopped = column("product stopped at", lambda key: key.product_stopped_at)
    its_rights = column("rights", lambda key: Right.in_words(key.rights))
    grant_cap = column("most in one grant", lambda key: _credits(key.grant_max))
    month_cap = column("most granted in a month", lambda key: _credits(key.grant_month_max))

    @admin.display(description="granted this month")
    def granted_now(self, key: ServiceKey) -> str:
        """What the product has granted in this UTC month, with all its keys; "" if this key may not grant."""
        if key.grant_max is None:
            return ""
        this_month = GrantedMonth.objects.filter(
            product=key.product, month=day_of(timezone.now()).replace(day=1)
        )
        return money.credits(this_month.values_list("credits", flat=True).first() or 0)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return cast(ServiceKeyQuerySet, super().get_queryset(request)).with_product_state()


def _credits(cap: int | None) -> str:
    return "" if cap is None else money.credits(cap)


@admin.register(ApiKey)
class ApiKeyAdmin(KeyAdmin):
    list_display = (
        *("prefix", "name", "its_owner", "scopes", "created_at", "last_used", "expires_at", "revoked_at"),
    )
    two_lines = ("name", "prefix", "created_at", "its_owner")
    also_sortable_by = {
        **{"name": ("name",), "expires_at": ("expires_at",), "revoked_at": ("revoked_at",)},
    }
    instant = "created_at"
    lookups = ("owner__misar_id__exact",)
    sortable_by = ("created_at",)
    search_fields = ("owner__misar_id", "prefix")
    search_help_text = "A whole Misar ID, or the twelve characters of a key that are shown."
    ordering = ("-created_at",)
    exclude = ("digest",)
    fields = (
        *("prefix", "name", "its_owner", "scopes", "allowed_account_id"),
        *("created_at", "last_used", "expires_at", "revoked_at"),
    )
    nothing_yet = "No creator has made a key."
    owner_field = "owner_id"
    staff_actions = actions.OF_API_KEY
    its_owner = column("owner", lambda key: user_link(key.owner_id))


@admin.register(User)
class UserAdmin(ActingAdmin):
    list_display = ("misar_id", "name", "email", "plan", "is_staff", "is_active", "created_at", "everything")
    two_lines = ("misar_id", "plan", "created_at", "name")
    also_sortable_by = {"name": ("name",), "plan": ("plan_id",), "created_at": ("created_at",)}
    list_filter = ("plan", "is_staff", "is_active")
    list_select_related = ("plan",)
    sortable_by = ("misar_id",)
    search_fields = ("misar_id",)
    search_help_text = "A whole Misar ID or email address."
    ordering = ("misar_id",)
    fields = (
        *("misar_id", "name", "email", "plan", "may_sign_in", "may_enter", "may_all", "its_roles"),
        *("created_at", "last_login"),
    )
    kept_out_of_files = ("password", "mails_off", "mailbox")
    owner_field = "pk"
    staff_actions = actions.OF_USER
    may_sign_in = column("may sign in", lambda user: user.is_active)
    may_enter = column("may enter the back-office", lambda user: user.is_staff)
    may_all = column("superuser", lambda user: user.is_superuser)
    its_roles = column("roles", lambda user: ", ".join(roles_of(user)))

    def matching(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        matches = super().matching(queryset, term)
        return matches | queryset.filter(User.in_mailbox(term)) if is_private(term) else matches


@admin.register(Plan)
class PlanAdmin(ActingAdmin):
    """The list of plans. A plan is never removed, because users may be on it."""

    list_display = ("slug", "name", "fee_bps", "key_limit")
    two_lines = ("slug", "fee_bps", "name", "key_limit")
    figures = ("fee_bps", "key_limit")
    fields = ("slug", "name", "fee_bps", "key_limit")
    staff_actions = actions.OF_PLAN
    addition = actions.NEW_PLAN


@admin.register(PlanChange)
class PlanChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "slug", "name", "fee_bps", "key_limit", "by")
    two_lines = ("name", "fee_bps", "created_at", "by")
    by = actor_column()
    figures = ("fee_bps", "key_limit")
    instant = "created_at"
    lookups = ("slug__exact",)
    ordering = ("-created_at",)
    fields = ("slug", "name", "fee_bps", "key_limit", "by", "created_at")


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ActingAdmin):
    """The list of mails and their states. It never shows the address or the text of a mail."""

    list_display = ("created_at", "kind", "fact", "its_user", "state", "tries", "sent_at", "last_error")
    two_lines = ("kind", "tries", "created_at", "state")
    figures = ("tries",)
    also_sortable_by = {"kind": ("kind",), "state": ("state",), "sent_at": ("sent_at",)}
    sums = States("state")
    list_filter = ("state",)
    instant = "created_at"
    lookups = ("user__misar_id__exact", "kind__exact")
    sortable_by = ("created_at",)
    search_fields = ("fact", "user__misar_id")
    search_help_text = "A whole Misar ID, or what a mail is about, such as receipt:top_…"
    exclude = ("to", "subject", "text", "html")
    ordering = ("-created_at",)
    nothing_yet = "No mail has been written."
    owner_field = "user_id"
    its_user = column("Misar ID", lambda mail: user_link(mail.user_id))


@admin.register(Act)
class ActAdmin(ActingAdmin):
    """The list of the acts of staff, with their reasons."""

    list_display = ("created_at", "its_staff", "label", "its_row", "user", "told", "reason")
    two_lines = ("label", "user", "created_at", "its_staff")
    instant = "created_at"
    lookups = ("about__exact", "model__exact", "row_id__exact", "staff__misar_id__exact")
    sortable_by = ("created_at",)
    search_fields = ("about", "staff__misar_id", "row_id")
    search_help_text = "The whole Misar ID of a user or of a staff member, or the whole id of a row."
    exclude = ("form_key", "content")
    fields = ("created_at", "its_staff", "label", "its_row", "user", "told", "reason")
    ordering = ("-created_at",)
    nothing_yet = "Staff have done nothing yet."
    owner_field = "about"
    its_staff = column("member of staff", lambda act: row_link(User, act.staff_id))

    def matching(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        # The index on the id of a row begins with the model, so the query names all models that have a page.
        kinds = [model._meta.label_lower for model in self.admin_site._registry]
        named = Q(about=term) | Q(staff_id=term) | Q(model__in=kinds, row_id=term)
        return queryset.none() if is_private(term) else queryset.filter(named)

    @admin.display(description="row")
    def its_row(self, act: Act) -> str:
        kinds = {model._meta.label_lower: model for model in self.admin_site._registry}
        model = kinds.get(act.model)
        return row_link(model, act.row_id) if model else act.row_id


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """The list of roles, with their members and permissions. backoffice/roles.py creates the roles."""

    list_display = ("name", "count_of_members")
    two_lines = ("name", "count_of_members", "", "")
    figures = ("count_of_members",)
    ordering = ("name",)
    fields = ("name", "members", "allowed")
    count_of_members = column("members", lambda role: role.members_count)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.view_user")

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return request.user.has_perm("accounts.view_user")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).annotate(members_count=models.Count("user"))

    @admin.display(description="members")
    def members(self, role: Group) -> str:
        members = User.objects.filter(groups=role).order_by("pk").values_list("pk", flat=True)
        return format_html_join(", ", "{}", ((row_link(User, pk),) for pk in members[:MEMBERS_SHOWN_MAX]))

    @admin.display(description="may")
    def allowed(self, role: Group) -> str:
        permissions = role.permissions.order_by("content_type__app_label", "codename")
        labelled = permissions.values_list("name", "content_type__app_label", "codename")
        lines = format_html_join("", "<li>{} <code>{}.{}</code></li>", labelled)
        return format_html("<ul>{}</ul>", lines)
