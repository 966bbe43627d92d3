#!/usr/bin/env bash
# Starts a component of Airflow (api-server, scheduler, ...) with the Elasticsearch key in its environment;
# `init` prepares the database instead.
set -euo pipefail

if [[ "$1" == init ]]; then
    exec python "$(dirname "$0")/init.py"
fi
if [[ -n "${AIRFLOW_KEY_FILE:-}" ]]; then
    SHOWROOM_ELASTICSEARCH_API_KEY="$(<"$AIRFLOW_KEY_FILE")"
    export SHOWROOM_ELASTICSEARCH_API_KEY
fi
exec python -P -m airflow "$@"
