#!/bin/sh
# Makes the passwords that compose.yaml mounts into containers, in deploy/secrets. One that exists is kept.
# Only this user can enter the folder. The files can be read by every user, because each container has its own.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
for name in superuser owner runtime operator; do
    file="secrets/${name}_password"
    if [ ! -s "$file" ]; then
        head -c 33 /dev/urandom | base64 | tr '+/' '-_' > "$file"
        echo "Made deploy/$file."
    fi
    chmod 444 "$file"
done
