"""Users, plans, keys, roles and what staff did, to look at in the back-office (what staff do: actions.py)."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from accounts.models import Act, ApiKey, OutgoingMail, Plan, PlanChange, ServiceKey, User
from backoffice.actions.pages import ActingAdmin
from backoffice.lists.change_list import is_private
from backoffice.lists.links import row_link, user_link
from backoffice.lists.read_only import ReadOnlyAdmin
from backoffice.people import actions
from backoffice.roles import roles_of
from foundation import money

MEMBERS_SHOWN_MAX = 100

# allauth brings pages that would edit identities and secrets by hand, and Django one that would edit roles.
for model in (EmailAddress, SocialAccount, SocialApp, SocialToken, Authenticator, Group):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(ServiceKey)
class ServiceKeyAdmin(ActingAdmin):
    list_display = (
        *("prefix", "product", "feature_prefixes", "created_at", "last_used_at", "expires_at"),
        "revoked_at",
    )
    lookups = ("product__exact",)
    search_fields = ("product", "prefix")
    search_help_text = "A product, or the twelve characters of a key that are shown; whole."
    exclude = ("digest",)
    fields = (
        *("product", "prefix", "feature_prefixes", "created_at", "last_used_at", "expires_at", "revoked_at"),
    )
    nothing_yet = "No product has a key, so none can charge."
    staff_actions = actions.OF_SERVICE_KEY
    addition = actions.NEW_SERVICE_KEY


@admin.register(ApiKey)
class ApiKeyAdmin(ActingAdmin):
    list_display = (
        *("prefix", "name", "its_owner", "scopes", "created_at", "last_used_at", "expires_at"),
        "revoked_at",
    )
    instant = "created_at"
    lookups = ("owner__misar_id__exact",)
    sortable_by = ("created_at",)
    search_fields = ("owner__misar_id", "prefix")
    search_help_text = "A Misar ID, or the twelve characters of a key that are shown; whole."
    ordering = ("-created_at",)
    exclude = ("digest",)
    fields = (
        *("prefix", "name", "its_owner", "scopes", "allowed_account_id"),
        *("created_at", "last_used_at", "expires_at", "revoked_at"),
    )
    readonly_fields = ("its_owner",)
    nothing_yet = "No creator has made a key."
    staff_actions = actions.OF_API_KEY

    def about(self, row: ApiKey) -> str:
        return row.owner_id

    @admin.display(description="owner")
    def its_owner(self, key: ApiKey) -> str:
        return user_link(key.owner_id)


@admin.register(User)
class UserAdmin(ActingAdmin):
    list_display = ("misar_id", "name", "email", "plan", "is_staff", "is_active", "created_at", "everything")
    list_filter = ("plan", "is_staff", "is_active")
    list_select_related = ("plan",)
    sortable_by = ("misar_id",)
    search_fields = ("misar_id", "email__iexact")
    search_help_text = "A Misar ID or an e-mail address, whole."
    ordering = ("misar_id",)
    fields = (
        *("misar_id", "name", "email", "plan", "may_sign_in", "may_enter", "may_all", "its_roles"),
        *("created_at", "last_login"),
    )
    readonly_fields = ("may_sign_in", "may_enter", "may_all", "its_roles")
    kept_out_of_files = ("password", "mails_off")
    staff_actions = actions.OF_USER

    def about(self, row: User) -> str:
        return row.pk

    @admin.display(description="may sign in")
    def may_sign_in(self, user: User) -> bool:
        return user.is_active

    @admin.display(description="may enter the back-office")
    def may_enter(self, user: User) -> bool:
        return user.is_staff

    @admin.display(description="superuser")
    def may_all(self, user: User) -> bool:
        return user.is_superuser

    @admin.display(description="roles")
    def its_roles(self, user: User) -> str:
        return ", ".join(roles_of(user))

    @admin.display(description="user")
    def everything(self, user: User) -> str:
        return user_link(user.pk, "Everything")


@admin.register(Plan)
class PlanAdmin(ActingAdmin):
    """Plans. One is never removed: users may be on it."""

    list_display = ("slug", "name", "fee_bps", "key_limit")
    figures = ("fee_bps", "key_limit")
    fields = ("slug", "name", "fee_bps", "key_limit")
    staff_actions = actions.OF_PLAN
    addition = actions.NEW_PLAN


@admin.register(PlanChange)
class PlanChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "slug", "name", "fee_bps", "key_limit", "actor")
    figures = ("fee_bps", "key_limit")
    instant = "created_at"
    lookups = ("slug__exact",)
    ordering = ("-created_at",)


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ActingAdmin):
    """Which mails went out, and which could not: never to whom, nor what they say."""

    list_display = ("created_at", "kind", "fact", "its_user", "state", "tries", "sent_at", "last_error")
    figures = ("tries",)
    list_filter = ("state",)
    instant = "created_at"
    lookups = ("user__misar_id__exact", "kind__exact")
    sortable_by = ("created_at",)
    search_fields = ("fact", "user__misar_id")
    search_help_text = "A Misar ID, or what a mail is about, such as receipt:top_…; whole."
    exclude = ("to", "subject", "text", "html")
    ordering = ("-created_at",)
    nothing_yet = "No mail has been written."

    def about(self, row: OutgoingMail) -> str:
        return row.user_id or ""

    @admin.display(description="Misar ID")
    def its_user(self, mail: OutgoingMail) -> str:
        return user_link(mail.user_id or "")


@admin.register(Act)
class ActAdmin(ActingAdmin):
    """What staff did, and why."""

    list_display = ("created_at", "its_staff", "label", "its_row", "user", "told", "reason")
    instant = "created_at"
    lookups = ("about__exact", "model__exact", "row_id__exact", "staff__misar_id__exact")
    sortable_by = ("created_at",)
    search_fields = ("about", "staff__misar_id", "row_id")
    search_help_text = "A Misar ID of a user or of a member of staff, or the id of a row; whole."
    exclude = ("form_key", "content")
    fields = ("created_at", "its_staff", "label", "its_row", "user", "told", "reason")
    readonly_fields = ("its_staff", "its_row", "user")
    ordering = ("-created_at",)
    nothing_yet = "Staff have done nothing yet."

    def about(self, row: Act) -> str:
        return row.about

    def found(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        # An act's row is found by its own id where that is asked for together with what kind of row it is;
        # by the id alone, among the kinds there are pages for, so that the index serves.
        kinds = [model._meta.label_lower for model in self.admin_site._registry]
        named = Q(about=term) | Q(staff_id=term) | Q(model__in=kinds, row_id=term)
        return queryset.none() if is_private(term) else queryset.filter(named)

    @admin.display(description="member of staff")
    def its_staff(self, act: Act) -> str:
        return row_link(User, act.staff_id)

    @admin.display(description="Misar ID")
    def user(self, act: Act) -> str:
        return user_link(act.about)

    @admin.display(description="row")
    def its_row(self, act: Act) -> str:
        kinds = {model._meta.label_lower: model for model in self.admin_site._registry}
        model = kinds.get(act.model)
        return row_link(model, act.row_id) if model else act.row_id


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """The roles of staff: who has them, and what they allow. backoffice/roles.py makes them."""

    list_display = ("name", "count_of_members")
    figures = ("count_of_members",)
    ordering = ("name",)
    fields = ("name", "members", "allowed")
    readonly_fields = ("members", "allowed")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.view_user")

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return request.user.has_perm("accounts.view_user")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).annotate(members_count=models.Count("user"))

    @admin.display(description="members")
    def count_of_members(self, role: Any) -> str:
        return money.plain(role.members_count)

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
