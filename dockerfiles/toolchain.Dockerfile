# The toolchain for the Docker door where this machine cannot make the rootfs door's tree, which is
# imported otherwise: exactly the packages, by version, that the rootfs door has.
# Built by lab/toolchain/docker/image_build.py, which also makes the files of the build context:
# packages (dockerfiles/packages, one name a line), pinned (all of them with what they need,
# as name=version; empty: nothing is locked), snapshot, sources, proxies, pruned.

# Debian trixie slim by digest. It has no part in the result: every package is installed below.
ARG BASE
FROM ${BASE}

# Whose build this is: what a dead one leaves is found by these and removed.
ARG MAKER
ARG OWNER
LABEL org.xenlab.maker=${MAKER} org.xenlab.user=${OWNER}

ARG DEBIAN_FRONTEND=noninteractive
COPY packages pinned snapshot sources proxies pruned /usr/share/xenlab/

# The suite's main archive alone, as through the other door: from this machine's archive, or
# from where the base has its packages.
RUN set -e; cd /etc/apt; . /etc/os-release; \
    cp /usr/share/xenlab/proxies apt.conf.d/99xenlab; \
    test -s /usr/share/xenlab/sources || { \
      from=$(cat sources.list sources.list.d/* 2>/dev/null \
             | sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' | head -n 1); \
      echo "deb $from $VERSION_CODENAME main" >/usr/share/xenlab/sources; }; \
    rm -rf sources.list.d/*; cp /usr/share/xenlab/sources sources.list

# What an empty machine would get, with versions and hashes; then all of that, in one layer.
# It is what is locked, if need be out of apt's own snapshot of that moment; else the newest.
RUN set -e; cd /usr/share/xenlab; moment=; \
    resolve() { \
      apt-get -qq $moment --print-uris --no-install-recommends \
        -o Dir::State::status=/dev/null -o Acquire::ForceHash=SHA256 install "$@" >installed; }; \
    apt-get -qq update; \
    if ! test -s pinned || ! resolve $(cat pinned); then \
      if test -s pinned && test -s snapshot; then \
        moment="--snapshot=$(cat snapshot) -o Acquire::Retries=0"; \
        echo "lab: the archive has other versions now, asking for a snapshot"; \
        apt-get -qq $moment update && resolve $(cat pinned) || moment=; \
      fi; \
      test -n "$moment" || resolve '?essential' $(cat packages); \
    fi; \
    test -s installed; \
    echo "lab: installing $(wc -l <installed) packages"; \
    apt-get --quiet $moment --yes --no-install-recommends --allow-downgrades \
      -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 \
      install $(sed -E "s/^'[^']*' ([^_]+)_([^_]+)_.*/\1=\2/; s/%3a/:/" installed); \
    apt-get clean; \
    cd /; rm -rf $(cat usr/share/xenlab/pruned) var/lib/apt/lists/* var/log/* var/cache/*/*
