"""What gunicorn serves. Settings come from the environment alone; no sandbox file is ever read here."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "misar_billing.settings")

application = get_wsgi_application()
