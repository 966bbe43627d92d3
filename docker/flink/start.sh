#!/usr/bin/env bash
# Starts a Flink process (jobmanager or taskmanager) with the stream's key to Elasticsearch in its environment.
set -euo pipefail

if [[ -n "${STREAM_KEY_FILE:-}" ]]; then
    SHOWROOM_ELASTICSEARCH_API_KEY="$(<"$STREAM_KEY_FILE")"
    export SHOWROOM_ELASTICSEARCH_API_KEY
fi
# As in Flink's own image: glibc's allocator lets the TaskManager's memory grow without end.
export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}libjemalloc.so.2"
exec "$FLINK_HOME/bin/$1.sh" start-foreground "${@:2}"
