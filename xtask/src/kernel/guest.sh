#!/bin/sh
# Process 1 of the machine: runs what is listed in /muster/tests, one process for each test and as
# many at a time as there are processors, and writes to the second serial line how each ended.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root CI=true
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -sf /proc/self/fd /dev/fd
mount -t tmpfs -o mode=755 run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
hostname guest
# Which no name of a device makes the kernel load by itself.
for module in loop tun; do modprobe "$module"; done
exec 3>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo 2>/dev/null
dmesg -c >/dev/null
echo "begin $(uname -r)" >&3
# Tests are taken one by one from the list, and told of whole: in both, one process at a time.
exec 4</muster/tests
locked() {
    (
        flock 9
        "$@"
    ) 9>/run/lock
}
next() { read -r line <&4 && echo "$line" && echo "begun ${line%% *} ${line##* }" >&3; }
tell() { cat "/run/$1.told" >&3; }
work() {
    cd /muster
    while test=$(locked next); do
        suite=${test%% *} name=${test##* } program=${test#* }
        program=${program% *} output=/run/$1.output
        start=$(cut -d. -f1 /proc/uptime)
        timeout -s KILL "${LIMIT:-1800}" "$program" --exact "$name" --nocapture \
            </dev/null >"$output" 2>&1
        code=$?
        seconds=$(($(cut -d. -f1 /proc/uptime) - start))
        {
            echo "test $suite $name"
            if [ "$code" != 0 ]; then
                tail -n 60 "$output" | sed 's/^/| /'
                dmesg -c | tail -n 20 | sed 's/^/| dmesg: /'
            fi
            skipped=$(sed -n 's/^skipped: //p' "$output" | head -n 1)
            grep -q '^test result: ok. 1 passed' "$output" || [ "$code" != 0 ] || code=did-not-run
            echo "ended $code $seconds $skipped"
        } >"/run/$1.told"
        locked tell "$1"
    done
}
for worker in $(seq "$(nproc)"); do work "$worker" & done
wait
echo "end" >&3
sync
poweroff -f
