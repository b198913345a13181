#!/usr/bin/env bash
# Start or stop a gateway for a benchmark that measures from outside:
#
#   bench.py saturate --peer smsbridge --connect 127.0.0.1:2775 --system-id load --password secret \
#       --start "tests/bench/gateway.sh start" --stop "tests/bench/gateway.sh stop" \
#       --restart "tests/bench/gateway.sh restart" --pids /tmp/smsbridge-bench/pids
#
# WORK names its directory (store, configuration, log, pids), URL where webhooks go.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-$here/../../.venv/bin/python}
work=${WORK:-/tmp/smsbridge-bench}
url=${URL:-http://127.0.0.1:8099/x}
case ${1:-} in
start) exec "$python" "$here/gateway.py" start "$work" --url "$url" ;;
restart) exec "$python" "$here/gateway.py" start "$work" --url "$url" --keep ;; # after a kill -9
stop) exec "$python" "$here/gateway.py" stop "$work" ;;
*)
    echo "usage: gateway.sh start|restart|stop" >&2
    exit 2
    ;;
esac
