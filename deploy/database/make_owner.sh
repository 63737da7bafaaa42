#!/bin/sh
# Makes the owner of the tables and the database. The image of PostgreSQL runs this once, when it makes the cluster,
# as its superuser. The owner is no superuser: it may only make and change the roles of the service.
set -eu
test -s "$OWNER_PASSWORD_FILE"
export OWNER_PASSWORD_FILE
# The log of PostgreSQL must not show the password, whatever its settings are.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
\set password `cat "$OWNER_PASSWORD_FILE"`
CREATE ROLE misar_owner LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE misar_billing OWNER misar_owner;
SQL
