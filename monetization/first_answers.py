"""The stored first answers to POSTs, which a replay gets."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from foundation.identifiers import IDENTIFIER_LENGTH

KEY_LENGTH = 255


class FirstAnswer(models.Model):
    """The fields of the first answer to a POST, without e-mail addresses. A replay gets the same answer.

    `endpoint` is an endpoint of the API, or the dashboard's form that makes an API key. If the row that the
    POST made is edited later, the stored answer does not change. Erasing a reader empties the answers about
    this reader. After that, a replay of such an answer raises KeyReused.
    """

    class Endpoint(models.TextChoices):
        SPONSOR = "sponsor", "Sponsor"
        SUBSCRIPTION = "subscription", "Subscription"
        TIP = "tip", "Tip"
        API_KEY = "api_key", "API key"

    creator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    endpoint = models.CharField(max_length=12, choices=Endpoint)
    key = models.CharField(max_length=KEY_LENGTH)
    # An HMAC of the body, with SECRET_KEY. From a plain digest, addresses in the body could be guessed.
    digest = models.CharField(max_length=64)
    row_id = models.CharField(max_length=IDENTIFIER_LENGTH)
    # JSON as text, because jsonb does not keep the order of the fields.
    answer = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["creator", "endpoint", "key"], name="monetization_firstanswer_key_once"
            ),
        ]
        indexes = [models.Index(fields=["row_id"], name="monetization_firstanswer_row")]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.key}"
