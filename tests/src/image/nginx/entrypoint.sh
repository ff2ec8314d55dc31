#!/bin/sh
# Writes nginx's configuration and page from the environment that a task gets, then becomes
# the command.
set -eu

port=${PORT0:-80}
case $port in
    '' | *[!0-9]*)
        echo "entrypoint: PORT0 is '$port', must be a port number" >&2
        exit 64
        ;;
esac

mkdir -p /run/nginx/page
sed "s/@PORT@/$port/" /etc/nginx/template > /etc/nginx/nginx.conf
cat > /run/nginx/page/index.html <<PAGE
task ${MESOS_TASK_ID:-none}
host ${HOST:-$(hostname)}
port $port
PAGE

exec "$@"
