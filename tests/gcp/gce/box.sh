# What a VM does from the press of its button to its end, inside of a container. It has the ways of Google's
# Container-Optimized OS: nothing can be written but /etc, /var, /run, /tmp and below /mnt/disks, and of what is
# written nothing can be executed but in a few places. An engine is up before the startup script runs.
#
# Arguments: the address of the machine that it runs on, then those ports of that machine's 127.0.0.1 that are to be
# found at 127.0.0.1 here, too.
host=$1
shift

executable() { mkdir -p "$1" && mount --bind "$1" "$1" && mount -o remount,bind,exec "$1"; }

mkdir /run/etc
cp -a /etc/. /run/etc
mount --bind /run/etc /etc
executable /var/lib/docker
executable /var/lib/google
mount -o remount,bind,noexec /var
printf '[MetadataScripts]\nrun_dir = /var/lib/google\n' >/etc/default/instance_configs.cfg

for port; do
    iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp --dport "$port" -j DNAT --to-destination "$host:$port"
done
iptables -t nat -A POSTROUTING -s 127.0.0.1 -d "$host" -j MASQUERADE

# Not every machine where tests run may spare a process from the killer of those who use too much memory: here that is
# wished for in vain.
cat >/var/lib/google/runc <<'END'
#!/bin/bash
for word; do
    [ "$last" != --bundle ] || sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$word/config.json"
    last=$word
done
exec runc "$@"
END
chmod +x /var/lib/google/runc

# Where it can be said, containers belong to the control group of this one: with it they go from the machine.
own=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
dockerd --add-runtime box=/var/lib/google/runc --default-runtime box ${own:+--cgroup-parent "$own"} \
    >/var/log/docker.log 2>&1 &
engine=$!

off() {
    trap '' PWR TERM
    google_metadata_script_runner shutdown &
    scripts=$!
    kill -- "-$startup" 2>/dev/null
    wait "$scripts"
    kill "$engine" && wait "$engine"
    exit 0
}

until docker info >/dev/null 2>&1; do
    kill -0 "$engine" 2>/dev/null || { cat /var/log/docker.log; exit 1; }
    sleep 0.1
done
setsid google_metadata_script_runner startup &
startup=$!
trap off PWR TERM
while :; do
    sleep infinity &
    wait "$!"
done
