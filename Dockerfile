# Two stages: the first builds, the second runs. The image has the code, its pinned packages and the
# collected static files; settings come from the environment at the start.

FROM python:3.12-slim-bookworm AS build
WORKDIR /service
RUN python -m venv /opt/venv
COPY requirements/base.txt requirements/
RUN /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements/base.txt
COPY manage.py pyproject.toml ./
COPY foundation foundation
COPY backoffice backoffice
COPY misar_billing misar_billing
COPY accounts accounts
COPY wallet wallet
COPY monetization monetization
COPY templates templates
COPY static static
# These values only let the settings load while static files are collected; the image does not keep them.
RUN ENVIRONMENT=production \
    SECRET_KEY=only-while-the-static-files-of-the-image-are-collected \
    DATABASE_URL=postgres://nobody@localhost/none \
    STRIPE_SECRET_KEY=sk_test_none STRIPE_WEBHOOK_SECRETS=whsec_none PUBLIC_URL=https://build.invalid \
    /opt/venv/bin/python manage.py collectstatic --noinput

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home billing
COPY --from=build /opt/venv /opt/venv
COPY --from=build /service /service
WORKDIR /service
USER billing
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000 INTERNAL_PORT=9100
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"INTERNAL_PORT\"]}/ready', timeout=4)"]
# `check --deploy` refuses the sandbox's settings before the first request is served.
CMD ["sh", "-c", "python manage.py check --deploy --fail-level ERROR && exec gunicorn --config python:misar_billing.gunicorn_conf misar_billing.wsgi"]
