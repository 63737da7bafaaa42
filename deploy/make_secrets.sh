#!/bin/sh
# Makes the passwords that compose.yaml mounts into containers, in deploy/secrets. One that exists is kept.
# Only this user can enter the folder. The files can be read by every user, because each container has its own.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
# For the proxy's certificate and key. The folder is mounted, so the proxy's user must be able to enter it.
mkdir -p secrets/certificate
chmod 755 secrets/certificate
for name in superuser owner runtime operator; do
    file="secrets/${name}_password"
    if [ ! -s "$file" ]; then
        head -c 33 /dev/urandom | base64 | tr '+/' '-_' > "$file"
        echo "Made deploy/$file."
    fi
    chmod 444 "$file"
done
