# syntax=docker/dockerfile:1
#
# The image of one operator:
#
#   docker build --build-arg OPERATOR=ops-manager --tag ops-manager .
#   docker build --build-arg OPERATOR=provisioner --tag provisioner .
#
# A release pins both base images by digest: see docs/src/release.md.

ARG OPERATOR
ARG BUILD_IMAGE=rust:1.95-bookworm
# The C library and nothing else: no shell, no package manager, no root. Of the same Debian release as above.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
ARG OPERATOR
WORKDIR /build
COPY . .
# The second build finds the dependencies of the first, whichever operator it is for.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --package "${OPERATOR}" \
    && cp "target/release/${OPERATOR}" /operator

FROM ${RUNTIME_IMAGE} AS base
ARG OPERATOR
COPY --from=build /operator /usr/local/bin/${OPERATOR}
USER 65534:65534

FROM base AS ops-manager
ENTRYPOINT ["/usr/local/bin/ops-manager"]

FROM base AS provisioner
ENTRYPOINT ["/usr/local/bin/provisioner"]

FROM ${OPERATOR}
