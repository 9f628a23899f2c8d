# shellcheck shell=bash
# stage NAME COMMAND...: run the command under a heading and print its seconds.
# Source this file. The first stage that fails ends the script.
stage() {
	local name=$1 start=$SECONDS
	shift
	printf '\n=== %s\n' "$name"
	if "$@"; then
		printf -- '--- %s: ok, %d s\n' "$name" $((SECONDS - start))
	else
		local code=$?
		printf -- '--- %s: FAILED (exit %d), %d s\n' "$name" "$code" $((SECONDS - start))
		exit "$code"
	fi
}
