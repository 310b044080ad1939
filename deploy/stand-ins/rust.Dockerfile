# The toolchain of the machine that builds this, on the distribution's base, trusting whom that machine trusts: the
# way to a package registry may lead over a mirror or proxy with a certificate authority of its own.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY certificates /usr/local/share/ca-certificates
RUN update-ca-certificates
COPY toolchain /usr/local/rust
# Which targets there are was settled when the toolchain was copied.
RUN printf '#!/bin/sh\ntest -d "/usr/local/rust/lib/rustlib/$3"\n' >/usr/local/bin/rustup && chmod +x /usr/local/bin/rustup
ENV PATH=/usr/local/rust/bin:$PATH CARGO_HOME=/usr/local/cargo
