# A Debian of its own to install the package into (debootstrap, kept in build/package/base), for tests/package/run and bench/first. Who
# sources it is at the top of the tree, has $work, an empty folder below it, and ends $server, if there is one. As root.
root=$work/root
server=
debian_base() {
    base=build/package/base
    if ! [ -f $base.done ]; then
        rm -rf $base
        if ! debootstrap --variant=minbase bookworm $base >$base.log 2>&1; then
            tail -n 20 $base.log
            return 1
        fi
        touch $base.done
    fi
    cp -a $base "$root"
    cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
}
inside() { chroot "$root" env LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
# What the package needs is fetched before, so that the time to the first trace is not the network's.
fetch() { inside apt-get -q update && inside apt-get -q -y install --no-install-recommends -d "$@"; }
install_deb() { inside apt-get -q -y install --no-install-recommends "/srv/$(basename "$1")"; }
serve() {
    # as the unit does: its user, its variables; ports are free ones
    : >"$work/ready" # that of the last one must not be read
    chroot --userspec=clew:clew "$root" env -i CLEW_DATA=/var/lib/clew/data clew serve --listen 127.0.0.1:0 \
        --otlp-http 127.0.0.1:0 --otlp-grpc 127.0.0.1:0 --json >"$work/ready" 2>"$work/log" &
    server=$!
    tries=0
    until grep -q ready "$work/ready"; do
        kill -0 "$server" && [ $((tries += 1)) -le 300 ] || { cat "$work/log" && return 1; }
        sleep 0.02
    done
    api=$(sed 's/.*"api":"\([^"]*\)".*/\1/' "$work/ready") otlp=$(sed 's/.*"otlp_http":"\([^"]*\)".*/\1/' "$work/ready")
}
# What docs/install.md tells people to type, with the ports of here.
id=0af7651916cd43dd8448eb211c80319c
first_trace() {
    sed -n '/^## The first trace/,/^## /p' docs/install.md | awk '/^```/ { n++; next } n == 1' >"$root/srv/typed"
    sed -i "s|http://127.0.0.1:4318|$otlp|; s|^curl -s |curl -sf |" "$root/srv/typed"
    grep '^curl\|^  ' "$root/srv/typed" >"$work/typed" && sh -e "$work/typed" # the new Debian has no curl
    inside env CLEW_SERVER="$api" sh -ec "$(grep '^clew' "$root/srv/typed")"
}
now_ms() { date +%s%3N; }
