#!/usr/bin/env bash
# Starts a Flink process (jobmanager or taskmanager). The JobManager, which plans the job, gets the stream's
# Elasticsearch key in its environment. A TaskManager gets the key inside the job, because Flink logs the environment
# of a Python worker that dies.
set -euo pipefail

# The mounted file of config/, with its variables replaced from the environment.
python -c 'import os, string, sys; sys.stdout.write(string.Template(sys.stdin.read()).substitute(os.environ))' \
    <"${FLINK_CONFIG:-/opt/showroom/config/flink/config.yaml}" >"$FLINK_CONF_DIR/config.yaml"

unset SHOWROOM_ELASTICSEARCH_API_KEY
if [[ $1 == jobmanager && -n "${STREAM_KEY_FILE:-}" ]]; then
    SHOWROOM_ELASTICSEARCH_API_KEY="$(<"$STREAM_KEY_FILE")"
    export SHOWROOM_ELASTICSEARCH_API_KEY
fi
# As in Flink's own image, because with glibc's allocator the TaskManager's memory grows without limit.
export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}libjemalloc.so.2"
exec "$FLINK_HOME/bin/$1.sh" start-foreground "${@:2}"
