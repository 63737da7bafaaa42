"""The creators' API endpoints. Each reads the request, calls one domain function and returns the answer."""

from typing import Any, ClassVar, cast

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers as drf
from rest_framework.request import Request

from accounts.api.creators import CreatorViewSet, errors
from accounts.api.schema import creators_schema, header
from accounts.models import User
from accounts.permissions import Access
from foundation.database import standby
from foundation.http.views import no_store
from foundation.text import is_id
from monetization import fields, replays, sponsors, subscriptions, tips
from monetization.api import serializers
from monetization.api.paging import page
from monetization.figures import stats
from monetization.models import FirstAnswer, Sponsor, Subscription, Tip
from monetization.replays import Made

KEY_LENGTH_MAX = 255
READ = Access(scopes=("monetization", "read"))
WRITE = Access(scopes=("monetization",))

PAGING = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000},
        description="How many rows a page has at most.",
    ),
    OpenApiParameter(
        "cursor", OpenApiTypes.STR, description="Where the `Link` header of the page before points."
    ),
]
LINK = header("Link", OpenApiTypes.STR, 'The next page: `<...>; rel="next"`.', response=[200], required=False)
KEY_ALONE: Any = [{"apiKey": []}]
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[ -~]*$"},
    OpenApiParameter.HEADER,
    description="The same key and body again is answered the same, and makes nothing twice.",
)


def data_of(name: str, shape: type[drf.Serializer]) -> drf.Serializer:
    """Return the schema of an answer `{success, data}`. `shape` is the schema of `data`."""
    return inline_serializer(name, {"success": drf.BooleanField(), "data": shape()})


def made(data: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an answer with data."""
    return {"success": True, "data": data}


def once(request: Request, endpoint: FirstAnswer.Endpoint, body: dict[str, Any], make: Any) -> dict[str, Any]:
    """Run `make` at most once for the request's Idempotency-Key. Return the fields of the first answer."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= KEY_LENGTH_MAX and key.isascii() and is_id(key)):
        raise drf.ValidationError([f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} printable characters"])
    creator = cast(User, request.user)
    return replays.once(creator=creator, endpoint=endpoint, key=key or "", body=body, make=make)


@creators_schema
class SponsorViewSet(CreatorViewSet):
    """Placements sold to sponsors."""

    access: ClassVar = {"list": READ, "create": WRITE, "destroy": WRITE}

    @extend_schema(
        operation_id="sponsors_list",
        summary="List sponsors",
        tags=["Sponsors"],
        parameters=[*PAGING, LINK],
        responses={200: serializers.SponsorRow(many=True)} | errors(),
    )
    @standby.may_answer
    def list(self, request: Request) -> HttpResponse:
        """List active and upcoming placements, soonest first. The body is an array; the next page is in the
        `Link` header.

        A key needs the scope `monetization` or `read`. A session or an access token may list its own.
        """
        mine = Sponsor.objects.visible_to(self.creator)
        listed = mine.active_or_upcoming(self.now)
        return page(request, listed, by="active_from", shape=serializers.SponsorRow, among=mine)

    @extend_schema(
        operation_id="sponsors_create",
        summary="Record a sponsor",
        tags=["Sponsors"],
        request=serializers.SponsorRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: data_of("SponsorCreated", serializers.SponsorMade)} | errors(409, 413, 415),
    )
    def create(self, request: Request) -> HttpResponse:
        """Record a placement that you have sold. No money moves here.

        A period includes its beginning and excludes its end. Placements may overlap, unless staff switched
        on one sponsor at a time for you: then a second one in the same position is 409. Send an
        `Idempotency-Key`, so that a retry records nothing twice.

        A key needs the scope `monetization`. A session or an access token may record its own.
        """
        requested = self.parsed(serializers.SponsorRequest)

        def make() -> Made:
            sponsor = sponsors.place(creator=self.creator, **requested)
            return Made(sponsor.pk, serializers.SponsorMade(sponsor).data)

        return no_store(made(once(request, FirstAnswer.Endpoint.SPONSOR, requested, make)), status=201)

    @extend_schema(
        operation_id="sponsors_cancel",
        summary="Cancel a sponsor",
        tags=["Sponsors"],
        responses={200: inline_serializer("Done", {"success": drf.BooleanField()})} | errors(),
    )
    def destroy(self, request: Request, pk: str) -> HttpResponse:
        """Cancel a placement that has not ended. It is no longer listed. A second request for it is 404.

        A key needs the scope `monetization`. A session or an access token may cancel its own.
        """
        sponsors.cancel(creator=self.creator, sponsor_id=pk)
        return no_store({"success": True})


@creators_schema
class SubscriptionViewSet(CreatorViewSet):
    """Readers' paid subscriptions."""

    access: ClassVar = {"list": READ, "create": WRITE, "partial_update": WRITE}

    @extend_schema(
        operation_id="subscriptions_list",
        summary="List subscriptions",
        tags=["Subscriptions"],
        parameters=[*PAGING, LINK],
        responses={200: serializers.SubscriptionRow(many=True)} | errors(),
    )
    @standby.may_answer
    def list(self, request: Request) -> HttpResponse:
        """List every subscription, newest first, cancelled ones too. The body is an array; the next page is
        in the `Link` header.

        A key needs the scope `monetization` or `read`. A session or an access token may list its own.
        """
        mine = Subscription.objects.visible_to(self.creator)
        return page(request, mine, by="-created_at", shape=serializers.SubscriptionRow)

    @extend_schema(
        operation_id="subscriptions_create",
        summary="Record a subscription",
        tags=["Subscriptions"],
        request=serializers.SubscriptionRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: data_of("SubscriptionCreated", serializers.SubscriptionMade)} | errors(409, 413, 415),
    )
    def create(self, request: Request) -> HttpResponse:
        """Record a new paid subscription of a reader, for example when Stripe reports it. No card is
        charged here.

        The billing interval is read from the plan's name, such as `monthly` or `yearly`. The same
        `stripe_subscription_id` with the same plan, amount and currency answers the first answer again; so
        does the same `Idempotency-Key` with the same body. Without either, a retry records a second
        subscription.

        A key needs the scope `monetization`. A session or an access token may record its own.
        """
        requested = self.parsed(serializers.SubscriptionRequest)

        def make() -> Made:
            subscription = subscriptions.record(creator=self.creator, **requested)
            plan = subscriptions.beginning(subscription).plan
            first = {"id": subscription.pk, "plan": plan, "status": Subscription.Status.ACTIVE.value}
            return Made(subscription.pk, first | {"subscriber_email": subscription.subscriber_email})

        fields_made = once(request, FirstAnswer.Endpoint.SUBSCRIPTION, requested, make)
        return no_store(made(serializers.SubscriptionMade(fields_made).data), status=201)

    @extend_schema(
        operation_id="subscriptions_change",
        summary="Change a subscription",
        tags=["Subscriptions"],
        request=serializers.SubscriptionChange,
        responses={200: data_of("SubscriptionChanged", serializers.SubscriptionRow)} | errors(413, 415),
    )
    def partial_update(self, request: Request, pk: str) -> HttpResponse:
        """Change the status, the plan or the price of a subscription. Fields that you leave out stay as
        they are.

        Send the time of Stripe's event as `occurred_at`. A change that is older than the last one of its
        kind has no effect, so events may arrive in any order. Of two changes of the same second the later
        arrival wins, but `cancelled` wins over any other status. The answer is the subscription as it is
        now.

        A key needs the scope `monetization`. A session or an access token may change its own.
        """
        requested = self.parsed(serializers.SubscriptionChange)
        mine = Subscription.objects.visible_to(self.creator).filter(pk=pk)
        currency = mine.values_list("currency", flat=True).first()  # A subscription's currency never changes.
        if wrong := fields.out_of_step({**requested, "currency": currency}, "amount_cents"):
            raise drf.ValidationError(wrong)
        changed = subscriptions.change(creator=self.creator, subscription_id=pk, **requested)
        return no_store(made(serializers.SubscriptionRow(changed).data))


@creators_schema
class TipViewSet(CreatorViewSet):
    """Readers' tips."""

    access: ClassVar = {
        "list": READ,
        "create": Access(scopes=("monetization", "send:transactional", "send"), session=False),
    }

    @extend_schema(
        operation_id="tips_list",
        summary="List tips",
        tags=["Tips"],
        parameters=[*PAGING, LINK],
        responses={200: serializers.TipRow(many=True)} | errors(),
    )
    @standby.may_answer
    def list(self, request: Request) -> HttpResponse:
        """List every tip, newest first. The body is an array; the next page is in the `Link` header.

        A key needs the scope `monetization` or `read`. A session or an access token may list its own.
        """
        mine = Tip.objects.visible_to(self.creator)
        return page(request, mine, by="-created_at", shape=serializers.TipRow)

    @extend_schema(
        operation_id="tip",
        summary="Record a tip",
        tags=["Tips"],
        auth=KEY_ALONE,
        request=serializers.TipRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.TipMade} | errors(409, 413, 415),
    )
    def create(self, request: Request) -> HttpResponse:
        """Record a tip that a reader has paid, and get the platform's fee and the net amount. No card is
        charged here.

        The fee is that of your plan at this moment, rounded half up; it is kept with the tip and never
        changes. The same `stripe_payment_id` with the same amount and currency answers the first answer
        again; so does the same `Idempotency-Key` with the same body. Without either, a retry records a
        second tip.

        A key needs the scope `monetization`, `send:transactional` or `send`. A session or an access token
        can't record tips.
        """
        requested = self.parsed(serializers.TipRequest)

        def make() -> Made:
            tip = tips.record(creator=self.creator, **requested)
            return Made(tip.pk, serializers.TipMade(tip).data)

        return no_store(once(request, FirstAnswer.Endpoint.TIP, requested, make))


@creators_schema
class StatsViewSet(CreatorViewSet):
    """What a creator earned."""

    access: ClassVar = {"retrieve": Access(scopes=None)}

    @extend_schema(
        operation_id="monetization_stats",
        summary="Read stats",
        tags=["Stats"],
        parameters=[
            OpenApiParameter(
                "period",
                {"type": "string", "enum": list(stats.PERIODS), "default": "30d"},
                description="Whole UTC days; each period ends today.",
            )
        ],
        responses={200: data_of("Stats", serializers.StatsData)} | errors(but=403),
    )
    @standby.may_answer_late
    def retrieve(self, request: Request) -> HttpResponse:
        """Read what you earned in a period of whole UTC days, today included, in each currency. Amounts of
        different currencies are never added.

        The figures may be some seconds old: a tip that was just recorded may be missing. Any key may read
        them; so may a session or an access token.
        """
        periods = request.query_params.getlist("period") or ["30d"]
        if len(periods) > 1 or periods[0] not in stats.PERIODS:
            raise drf.ValidationError({"period": [f"must be one of {', '.join(stats.PERIODS)}"]})
        found = stats.of_creator(self.creator, period=periods[0])
        return no_store(made(serializers.StatsData(found).data))
