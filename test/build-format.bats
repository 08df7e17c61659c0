#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# HEALTHCHECK, SHELL and ONBUILD: only Docker's image format has places for them (docs/decisions/0021).

load helpers
load build

shown() { "$ENGINE" image inspect --format "$2" "$1" 3>&-; }
format_of() {
    case $(shown "$1" '{{.ManifestType}}') in
    *docker*) echo docker ;;
    *oci*) echo oci ;;
    esac
}

healthy() { [[ $("$ENGINE" inspect --format '{{.State.Health.Status}}' "$1" 3>&-) == healthy ]]; }

@test "an image with HEALTHCHECK, SHELL or ONBUILD is made in Docker's format, any other in OCI's" {
    local row want text
    while IFS='|' read -r want text; do
        context <<<"${text//;/$'\n'}"
        build
        assert_equal "$(format_of "localhost/$name") $text" "$want $text"
        [[ $output != *Warning* ]]
    done <<-X
	oci|FROM $IMAGE;LABEL a=b;ENV HEALTHCHECK=x;# SHELL ["x"]
	docker|FROM $IMAGE;HEALTHCHECK CMD true
	docker|from $IMAGE;healthcheck --interval=3s cmd true;RUN true
	oci|FROM $IMAGE;HEALTHCHECK NONE
	oci|FROM $IMAGE;HEALTHCHECK CMD true;HEALTHCHECK NONE
	docker|FROM $IMAGE;SHELL ["/bin/ash", "-c"]
	docker|FROM $IMAGE;ONBUILD RUN true
	oci|FROM $IMAGE AS a;HEALTHCHECK CMD true;FROM $IMAGE;COPY --from=a /etc/passwd /p
	docker|FROM $IMAGE AS a;HEALTHCHECK CMD true;FROM a AS b;RUN true;FROM b
	oci|FROM $IMAGE AS a;ONBUILD RUN true;FROM a;RUN true
	docker|FROM $IMAGE AS a;ONBUILD HEALTHCHECK CMD true;FROM a;RUN true
	X
}

@test "a health check is inherited, kept by steps from the cache, by squashing and by commit, and run" {
    is_berth || skip "podman drops it without --format docker"
    context <<<"FROM $IMAGE"$'\nHEALTHCHECK --interval=5s --retries=2 CMD test -e /healthy\nSHELL ["/bin/ash", "-c"]\nRUN touch /healthy'
    build
    build --no-cache
    build
    berth tag "localhost/$name" "localhost/$name-base"
    for how in "" --squash --layers=false; do
        context <<<"FROM localhost/$name-base"$'\nRUN true'
        build ${how:+"$how"}
        assert_equal "$(shown "localhost/$name" '{{json .Healthcheck}}')" '{"Test":["CMD-SHELL","test -e /healthy"],"Interval":5000000000,"Retries":2}'
        assert_equal "$(shown "localhost/$name" '{{json .Config.Healthcheck}}')" "$(shown "localhost/$name" '{{json .HealthCheck}}')"
        assert_equal "$(shown "localhost/$name" '{{json .Config.Shell}}')" '["/bin/ash","-c"]'
    done
    berth run -d --name "$name" --network none "localhost/$name" sleep 60
    wait_for 30 healthy "$name"
    berth commit -q --message "said so" "$name" "localhost/$name-c"
    assert_equal "$(format_of "localhost/$name-c")" docker
    assert_equal "$(shown "localhost/$name-c" '{{.Comment}}')" "said so"
    assert_contains "$(shown "localhost/$name-c" '{{json .Config.Healthcheck}}')" "/healthy"
    berth commit -q -f oci "$name" "localhost/$name-c"
    assert_equal "$(format_of "localhost/$name-c")" oci
    berth rm -f -t 0 "$name"
    berth run -d --name "$name" --network none "$IMAGE" sleep 60
    berth commit -q "$name" "localhost/$name-c"
    assert_equal "$(format_of "localhost/$name-c")" oci
    berth commit -q --format docker --message "said so" "$name" "localhost/$name-c"
    assert_equal "$(shown "localhost/$name-c" '{{.Comment}}')" "said so"
    berth commit -q --change 'ONBUILD RUN true' "$name" "localhost/$name-c"
    assert_equal "$(format_of "localhost/$name-c")" docker
    assert_equal "$(shown "localhost/$name-c" '{{json .Config.OnBuild}}')" '["RUN true"]'
}

@test "what OCI's format would lose is said once, however the build is shown, from the cache as well" {
    is_berth || skip "podman's warnings are buildah's"
    context <<<"FROM $IMAGE"$'\nHEALTHCHECK CMD true\nRUN true\nSHELL ["/bin/ash", "-c"]\nRUN true\nONBUILD RUN true'
    local warning="HEALTHCHECK ($CTX/Containerfile:2), SHELL ($CTX/Containerfile:4), ONBUILD ($CTX/Containerfile:6) will not be in the image"
    local how
    for how in --no-cache "" "" -q --progress=plain --progress=json --layers=false; do
        build --format oci ${how:+"$how"}
        assert_equal "$how $(grep -c 'will not be in the image' <<<"$output")" "$how 1"
        assert_contains "$output" "$warning"
    done
    # A memo has the build's warnings as well, once nothing has changed for a moment.
    sleep 0.3
    build --format oci
    build --format oci
    assert_equal "$(grep -c 'will not be in the image' <<<"$output")" 1
    berth_tty 24 200 build --network none --format oci --no-cache "$CTX"
    assert_equal "$(grep -c 'will not be in the image' <<<"$output")" 1
    berth_tty 24 200 build --network none --format oci "$CTX"
    assert_equal "$(grep -c 'will not be in the image' <<<"$output")" 1
    # Annotations are OCI's alone: they decide, and that is said.
    build --annotation a=b
    assert_equal "$(format_of "localhost/$name")" oci
    assert_contains "$output" "--annotation asks for OCI's format"
    BUILDAH_FORMAT=oci build
    assert_contains "$output" "will not be in the image"
    assert_equal "$(format_of "localhost/$name")" oci
}
