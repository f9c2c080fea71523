#!/bin/bash
# What a node of sparkles does when its machine starts: it fetches the worker and the image of the tasks, runs the
# worker, and sees to it that the machine goes when the worker is done, or cannot start.
#
# This text is the same for every machine. What differs comes from the metadata server, as attributes that
# sparkles/startup.py writes, and is only ever used as a quoted word: no name, no image and no command of a job can
# become a part of this program.
#
# Made for Container-Optimized OS, where only some folders can be written to, and fewer hold programs that may run: so
# all that runs is in containers. Any Linux with docker, curl and bash will do.
set -uo pipefail
export LC_ALL=C

#: Seconds that all may take until the worker runs.
PATIENCE=900
#: Times that a worker which ended without having been asked to is started again.
RESTARTS=3
#: Seconds after which a worker that ended is not taken for one that cannot start.
STEADY=600
#: The exit code of a worker whose machine its group makes anew, by itself or because it was asked to. To ask for its
#: removal now could remove what comes in its place, which has the same name.
COMES_ANEW=75
#: Seconds that Google has to remove a machine whose worker has asked for it, before the machine asks itself.
GRACE=60
#: Seconds without a byte after which a request is given up, and made again by whoever insists on it.
SILENCE=${SPARKLES_SILENCE:-60}
#: Bytes of the log that are kept in the bucket.
KEPT=1000000

metadata="http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1"
root=${SPARKLES_ROOT:-/var/lib/sparkles}
log=$root/start.log
reason=$root/reason
phases=$root/phases
variables=$root/variables
buckets=/mnt/disks/sparkles-buckets
compute=https://compute.googleapis.com
storage=https://storage.googleapis.com

say() { printf '%s\n' "$*" | tee -a "$log"; }

# Says why the machine cannot be a node, for people: it becomes the first line of what is kept in the bucket.
refuse() {
    say "sparkles: $*"
    printf '%s\n' "$*" >"$reason"
    return 1
}

# Asks somebody who may stop to answer: options of curl.
ask() { curl --connect-timeout 20 --speed-limit 1 --speed-time "$SILENCE" "$@"; }

# Prints what the metadata server says; nothing if there is no such thing. While the server does not answer it is waited
# for: what is not known must not be taken for what is not so.
about() {
    curl --silent --fail --max-time 10 --retry 1000 --retry-delay 1 --retry-connrefused \
        --header 'Metadata-Flavor: Google' "$metadata/instance/$1"
}

attribute() { about "attributes/sparkles-$1"; }

# Prints a token of the machine's service account. It is given to Google's own hosts only.
token() { about service-accounts/default/token | sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p'; }

# Calls Google: options of curl. The token is no word of the command line, which others on the machine may see. A
# connection that has gone dead ends: all calls are made again.
google() {
    ask --silent --show-error --fail --header @- "$@" <<<"Authorization: Bearer $(token)"
}

# Notes how long a part of the start took.
began=$EPOCHREALTIME
phase() {
    printf '%s=%s\n' "$1" "$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f", to - from }')" >>"$phases"
    began=$EPOCHREALTIME
}

# Runs a command, and repeats it if it fails: the network may have to come up. The last lines of it are in $log.
insist() {
    local pause
    for pause in 1 4 10 20 0; do
        "$@" 2>&1 | tee -a "$log" && return
        sleep "$pause"
    done
    return 1
}

last_line() { tail -n 1 "$log"; }

# --- the parts of the start

prepare_disks() {
    local number=0 device place
    while read -r device; do
        [ -n "$device" ] || continue
        place=/mnt/disks/sparkles-$number
        if ! mountpoint -q "$place"; then
            mkdir -p "$place"
            # After a restart of the machine it is there already.
            blkid "$device" >/dev/null 2>&1 || mkfs.ext4 -q -F -m 0 "$device" >>"$log" 2>&1 ||
                refuse "disk $number could not be formatted: $(last_line)" || return
            mount -o discard,defaults "$device" "$place" >>"$log" 2>&1 ||
                refuse "disk $number could not be mounted: $(last_line)" || return
        fi
        chmod 1777 "$place"
        number=$((number + 1))
    done <<<"$(attribute disks)"
}

# Where tasks work, programs have to run.
prepare_root() {
    mountpoint -q "$root" && return
    if ! { mount --bind "$root" "$root" && mount -o remount,bind,exec "$root"; } >>"$log" 2>&1; then
        refuse "the folder of the tasks could not be prepared: $(last_line)"
    fi
}

prepare_gpu() {
    [ -n "$(attribute gpu)" ] || return 0
    insist cos-extensions install gpu || refuse "the driver of the GPU could not be installed: $(last_line)" || return
    if ! { mount --bind /var/lib/nvidia /var/lib/nvidia && mount -o remount,exec /var/lib/nvidia; } >>"$log" 2>&1; then
        refuse "the driver of the GPU could not be made ready: $(last_line)" || return
    fi
    phase gpu
}

# Tasks without credentials do not reach who gives them. The same address knows the names of hosts, which they may ask.
# The worker is not kept from it: it is in the network of the machine itself. Docker makes the chain when it starts.
prepare_credentials() {
    local given
    given=$(attribute credentials)
    [ "$given" != node ] || return 0
    [ "$given" = none ] || refuse "the machine could not find out whether tasks may have its credentials" || return
    iptables -w -I DOCKER-USER -d 169.254.169.254 -p tcp ! --dport 53 -j DROP ||
        refuse "the credentials of the machine could not be kept from the tasks"
}

log_in() {
    local registry=${1%%/*}
    case $registry in
    gcr.io | *.gcr.io | *.pkg.dev)
        token | docker login -u oauth2accesstoken --password-stdin "https://$registry" >>"$log" 2>&1 ||
            refuse "the machine could not log in at $registry: $(last_line)"
        ;;
    esac
}

pull() {
    local pause
    for pause in 1 4 10 20 0; do
        docker pull --quiet "$1" 2>&1 | tee -a "$log" && return
        last_line | grep -Eiq 'not found|unknown|denied|unauthorized|forbidden|no space|no match' && break
        sleep "$pause"
    done
    refuse "image $1 could not be pulled: $(last_line)"
}

pull_images() {
    local image
    for image in "$(attribute worker-image)" "$(attribute image)" "$(attribute mount-image)"; do
        [ -n "$image" ] || continue
        log_in "$image" && pull "$image" || return
    done
    phase images
}

# Where memory is short, the kernel is to end a task and no container of ours. To ask docker for that would be the end of
# it where it is not allowed.
spare() {
    local pid
    for _ in {1..20}; do
        pid=$(docker inspect --format '{{.State.Pid}}' "$1" 2>/dev/null)
        [ "${pid:-0}" -eq 0 ] || break
        sleep 0.5
    done
    for pid in $pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
        if [ "$pid" -ne 0 ] && ! { echo -900 >"/proc/$pid/oom_score_adj"; } 2>/dev/null; then
            say "sparkles: this machine does not let $1 be spared where memory is short"
            return
        fi
    done
}

# Makes sure that the machine's account may do with a bucket what is wanted, each as storage.objects.… knows it.
require_rights() {
    local bucket=$1 role=$2 query='' held permission account
    for permission in "${@:3}"; do query+="&permissions=storage.objects.$permission"; done
    if ! held=$(google --retry 4 "$storage/storage/v1/b/$bucket/iam/testPermissions?${query#&}" 2>>"$log"); then
        if last_line | grep -q 'error: 404'; then
            refuse "there is no bucket gs://$bucket, which resources.mounts names"
        else
            refuse "nobody says whether bucket gs://$bucket may be shown as a folder: $(last_line)"
        fi
        return
    fi
    for permission in "${@:3}"; do
        [[ $held != *"\"storage.objects.$permission\""* ]] || continue
        account=$(about service-accounts/default/email)
        refuse "the nodes' account lacks storage.objects.$permission in gs://$bucket, which resources.mounts names;" \
            "whoever owns the bucket allows it with 'gcloud storage buckets add-iam-policy-binding gs://$bucket" \
            "--member=serviceAccount:$account --role=$role'"
        return
    done
}

# What the container of a bucket does. Each time that it starts, the bucket has a new place in the folder $1, and a link
# leads there once it is seen: tasks find a bucket there, or an error, and never an empty folder.
# shellcheck disable=SC2016 # the shell in the container fills this in
SHOW='cd "$1" || exit
for old in at-*; do
    umount -l "$old" 2>/dev/null
    rmdir "$old" 2>/dev/null
done
place=$1/$(mktemp -d at-XXXXXX)
bucket=$2
shift 2
rclone mount "$bucket" "$place" "$@" &
trap exit TERM
until mountpoint -q "$place"; do
    kill -0 $! || exit 1
    sleep 0.1
done
ln -sfn "${place##*/}" now
wait $!'

# Shows a bucket to tasks, by its number: read-only, or writable. Who writes needs a place for what is not sent yet; the
# worker asks at the port whether all is. All users may read, whoever a task runs as.
show_bucket() {
    local number=$1 way=$2 port=$3 bucket=$4 name=sparkles-bucket-$1 options
    case $way in
    ro)
        require_rights "$bucket" roles/storage.objectViewer get list || return
        options=(--read-only --vfs-cache-mode off)
        ;;
    *)
        require_rights "$bucket" roles/storage.objectUser get list create delete update || return
        options=(--vfs-cache-mode writes --vfs-write-back 100ms --vfs-cache-max-age 1m --vfs-cache-poll-interval 30s)
        ;;
    esac
    docker rm -f "$name" >/dev/null 2>&1
    # What an earlier life of the machine has not sent is of tasks that run again.
    rm -rf "$root/unsent/$number"
    mkdir -p "$buckets/$number" "$root/unsent/$number"
    docker run --detach --name "$name" --restart always --log-driver json-file --log-opt max-size=1m --network host \
        --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
        --volume "$buckets:$buckets:rshared" --volume "$root/unsent/$number:/unsent" \
        --env GCE_METADATA_HOST --env RCLONE_GCS_ENV_AUTH=true --entrypoint sh "$(attribute mount-image)" \
        -c "$SHOW" sparkles "$buckets/$number" ":gcs:$bucket" --allow-other --umask 0 --dir-cache-time 1m \
        --gcs-bucket-policy-only --gcs-no-check-bucket --gcs-endpoint "$storage/storage/v1/" \
        --rc --rc-no-auth --rc-addr "127.0.0.1:$port" --cache-dir /unsent "${options[@]}" >>"$log" 2>&1 ||
        refuse "bucket gs://$bucket could not be shown as a folder: $(last_line)" || return
    await_bucket "$number" "$name" || refuse "bucket gs://$bucket could not be shown as a folder: $(last_line)"
}

await_bucket() {
    local number=$1 name=$2
    for _ in {1..300}; do
        ! mountpoint -q "$buckets/$number/now" || { spare "$name"; return; }
        [ "$(docker inspect --format '{{.RestartCount}}' "$name" 2>/dev/null)" = 0 ] || break
        sleep 0.1
    done
    docker logs --tail 20 "$name" >>"$log" 2>&1
    return 1
}

# What containers mount in the folder is seen on the machine, and by tasks.
prepare_buckets() {
    local number=0 way port bucket
    [ -n "$(attribute mounts)" ] || return 0
    mkdir -p "$buckets"
    if ! { mount --bind "$buckets" "$buckets" && mount --make-rshared "$buckets"; } >>"$log" 2>&1; then
        refuse "the folders of buckets could not be prepared: $(last_line)" || return
    fi
    while read -r way port bucket; do
        [ -n "$bucket" ] || continue
        show_bucket "$number" "$way" "$port" "$bucket" </dev/null || return
        number=$((number + 1))
    done <<<"$(attribute mounts)"
    phase buckets
}

# Fetches a blob, given as BUCKET OBJECT SHA256, the first two as they stand in a URL.
fetch() {
    local bucket object sum file=$2
    read -r bucket object sum <<<"$1"
    echo "$sum  $file" | sha256sum --check --status 2>/dev/null && return
    insist google --output "$file.part" "$storage/storage/v1/b/$bucket/o/$object?alt=media" ||
        refuse "the worker could not be fetched from gs://$bucket: $(last_line)" || return
    echo "$sum  $file.part" | sha256sum --check --status ||
        refuse "the worker that came from gs://$bucket does not have its checksum" || return
    mv "$file.part" "$file"
}

fetch_worker() {
    mkdir -p "$root/worker"
    # If the machine has been here before and went off suddenly, what was unpacked may be there by halves.
    rm -rf "$root/worker/program" "$root/worker/libraries"
    fetch "$(attribute program)" "$root/worker/program.zip" || return
    local wheels
    wheels=$(attribute wheels)
    [ -z "$wheels" ] || fetch "$wheels" "$root/worker/wheels.zip" || return
    phase worker
}

prepare() {
    prepare_root && prepare_disks && prepare_gpu && pull_images && prepare_buckets && prepare_credentials && fetch_worker
}

# --- the worker

# What the worker's container does: it unpacks the program and, once, installs its libraries from the machine's disk.
# shellcheck disable=SC2016 # the shell in the container fills this in
SERVE='set -e
cd "$1"
if [ ! -d program ]; then
    rm -rf program.part
    python -m zipfile -e program.zip program.part
    mv program.part program
fi
if [ -f wheels.zip ] && [ ! -d libraries ]; then
    rm -rf wheels libraries.part
    python -m zipfile -e wheels.zip wheels
    python -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
        --no-index --find-links wheels --no-deps --require-hashes --no-compile \
        --target libraries.part -r program/sparkles/templates/worker.lock
    rm -rf wheels
    mv libraries.part libraries
fi
export PYTHONPATH="$1/program:$1/libraries"
exec python -m sparkles.node'

# An engine that ends takes the worker along, and is back after a moment. Whatever it is, the next step shows it.
await_engine() {
    for _ in {1..60}; do
        docker info >/dev/null 2>&1 && return
        sleep 1
    done
}

serve() {
    await_engine
    docker rm -f sparkles-worker >/dev/null 2>&1
    spare sparkles-worker &
    docker run --rm --name sparkles-worker --network host --pid host --log-driver none \
        --volume /var/run/docker.sock:/var/run/docker.sock --volume "$root:$root" \
        --volume /sys/fs/cgroup:/sys/fs/cgroup:ro --env-file "$variables" \
        --env SPARKLES_VM --env SPARKLES_PHASES --env SPARKLES_DEVICES --env "SPARKLES_HOME=$root" \
        "$(attribute worker-image)" sh -c "$SERVE" sparkles "$root/worker" 2>&1 | tee -a "$log"
    return "${PIPESTATUS[0]}" # and not that of the log, which a task may have left no room for
}

# Runs the worker until it is done. One that ends otherwise is started again, unless it does so all the time.
serve_until_done() {
    local left=$RESTARTS started code
    while :; do
        started=$SECONDS
        serve
        code=$?
        [ "$code" -ne 0 ] || return 0
        [ "$code" -ne "$COMES_ANEW" ] || sleep infinity
        [ $((SECONDS - started)) -lt "$STEADY" ] || left=$RESTARTS
        [ "$left" -gt 0 ] || refuse "the worker ended again and again, with exit code $code: $(last_line)" || return
        left=$((left - 1))
        say "sparkles: the worker ended with exit code $code, and is started again"
        sleep 1
    done
}

# --- the end

# Keeps in the bucket why the machine was of no use.
keep_log() {
    local bucket object
    read -r bucket object <<<"$(attribute boot-log)"
    { cat "$reason"; tail -c "$KEPT" "$log"; } >"$root/kept.log"
    insist google --request POST --header 'Content-Type: text/plain' --data-binary "@$root/kept.log" --output /dev/null \
        "$storage/upload/storage/v1/b/$bucket/o?uploadType=media&name=$object$(about name).log"
}

# Has this very machine removed, which lowers the size of its group. To switch it off would not do: the group would
# make it anew. It goes on asking until it is over.
remove_machine() {
    local zone
    zone=$(about zone)
    while :; do
        google --request POST --header 'Content-Type: application/json' --output /dev/null \
            --data "{\"instances\": [\"zones/${zone##*/}/instances/$(about name)\"], \"skipInstancesOnValidationError\": true}" \
            "$compute/compute/v1/$(attribute group)/deleteInstances" 2>&1 | tee -a "$log"
        sleep $((10 + RANDOM % 20))
    done
}

main() {
    mkdir -p "$root/home"
    chmod 700 "$root"
    export HOME=$root/home # docker keeps what it logs in with there; root's own home cannot be written to
    : >"$log"
    rm -f "$reason"
    echo "boot=$(cut -d ' ' -f 1 /proc/uptime)" >"$phases"
    attribute environment >"$variables"
    local name value
    while IFS='=' read -r name value; do
        case $name in # stand-ins for Google, in tests
        COMPUTE_EMULATOR_HOST) compute=$value ;;
        STORAGE_EMULATOR_HOST) storage=$value ;;
        esac
    done <"$variables"

    prepare &
    local start=$!
    (sleep "$PATIENCE" && refuse "the machine was not ready after $PATIENCE seconds: $(last_line)"; kill "$start") &
    local watch=$!
    wait "$start"
    local code=$?
    kill "$watch" 2>/dev/null

    if [ "$code" -eq 0 ]; then
        SPARKLES_VM=$(attribute node)
        SPARKLES_PHASES=$(<"$phases")
        SPARKLES_DEVICES=$(compgen -G '/dev/nvidia*')
        export SPARKLES_VM SPARKLES_PHASES SPARKLES_DEVICES
        serve_until_done && sleep "$GRACE"
    fi
    [ ! -s "$reason" ] || keep_log
    remove_machine
}

main
