#!/usr/bin/env bash
# Starts a Flink process (jobmanager or taskmanager). The JobManager, which plans the job, gets the stream's key to
# Elasticsearch in its environment. A TaskManager gets the key inside the job: Flink logs the environment of a Python
# worker that dies.
set -euo pipefail

unset SHOWROOM_ELASTICSEARCH_API_KEY
if [[ $1 == jobmanager && -n "${STREAM_KEY_FILE:-}" ]]; then
    SHOWROOM_ELASTICSEARCH_API_KEY="$(<"$STREAM_KEY_FILE")"
    export SHOWROOM_ELASTICSEARCH_API_KEY
fi
# As in Flink's own image: glibc's allocator lets the TaskManager's memory grow without end.
export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}libjemalloc.so.2"
exec "$FLINK_HOME/bin/$1.sh" start-foreground "${@:2}"
