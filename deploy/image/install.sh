#!/bin/sh
# Puts seekserve on an image, whosever it is: run as root while the image is built, from the folder that
# holds the wheel, the lock file and the image's `seekserve`. The image's own packages stay as they are.
set -eu
cd "$(dirname "$0")"
umask 022

# Some vendors' images have uv and no pip.
if python3 -m pip --version >/dev/null 2>&1; then
    put() { python3 -m pip install --no-cache-dir --no-compile --root-user-action=ignore --target "$site" "$@"; }
else
    put() { uv pip install --no-cache --python "$(command -v python3)" --target "$site" "$@"; }
fi
site=/opt/seekserve/site
put --require-hashes -r runtime.lock
put --no-deps --no-index --find-links . seekserve
rm -rf "${site:?}/bin"
install -m 0755 seekserve /usr/local/bin/seekserve

# Rendered commands name the chat templates where every image has them.
mkdir -p /usr/share/seekserve
ln -s /opt/seekserve/site/seekserve/templates /usr/share/seekserve/templates

groupadd --system --gid 10001 seekserve
useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/seekserve --shell /usr/sbin/nologin seekserve
install -d -o 10001 -g 10001 -m 0700 /var/lib/seekserve
install -d -o 10001 -g 10001 -m 0755 /models

# Nothing is compiled where the root is read-only. The second run is for the standard library, of which
# slim images have the source alone; it also shows that what was installed can be loaded.
python3 -m compileall -q --invalidation-mode unchecked-hash "$site"
PYTHONDONTWRITEBYTECODE='' seekserve ready >/dev/null || true
PYTHONDONTWRITEBYTECODE='' python3 -c 'import sys; sys.path[0] = "/opt/seekserve/site"; import seekserve.cli, seekserve.serving'
