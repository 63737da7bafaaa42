"""The lists of middleware that views of a run have instead of the service's."""

# What `django-admin startproject` writes into a new project's settings.
OF_DJANGO = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Everything that a page of the service needs. It is written out here, so that this view costs the same when
# the service no longer sends API requests through all of it.
OF_PAGES = [
    "foundation.http.request_ids.identify",
    "misar_billing.health.answer_health",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "foundation.http.https_only.require_https",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.signing_in.middleware.require_good_session",
    "foundation.http.last_resort.explain_wrong_methods",
    "axes.middleware.AxesMiddleware",
]
