# What a container's server is started by, in any sh, as the image's own user. Arguments: the folder with the repository's
# content (if it is not known, REPO_DIR or where the image works), the person's copy of it, the content's commit, the folders that
# volumes lie over, with colons between them, then the server's command. Without a copy it only starts the server.
content=${1:-${REPO_DIR:-$PWD}} copy=$2 commit=$3 volumes=$4
shift 4

say() { printf 'binder: %s\n' "$1" >&2; }

# Git on the copy; content may belong to somebody else in the image.
in_copy() { git -c core.fileMode=false -c gc.auto=0 -c advice.detachedHead=false --git-dir="$copy/.git" --work-tree="$copy" "$@" 2>/dev/null; }

# Aside first, so that a half copy is never taken for a whole one.
make_copy() {
    mkdir -p "${copy%/*}" && rm -rf "$copy.part" && cp -R -P -p "$content" "$copy.part" && mv "$copy.part" "$copy" || return 1
    in_copy config binder.commit "$(in_copy rev-parse HEAD)"
    say "Copied the repository to $copy."
}

# To the content's commit, if nothing would be lost.
update_copy() {
    here=$(in_copy rev-parse --verify -q HEAD) && [ "$here" != "$commit" ] || return 0
    if [ "$here" != "$(in_copy config --get binder.commit)" ]; then
        say "You have commits of your own, so your copy stays as it is."
    elif [ -n "$(in_copy status --porcelain --untracked-files=no)" ]; then
        say "You have changed files, so your copy stays as it is."
    elif in_copy fetch -q --no-tags --update-shallow "$content" "$commit" && in_copy checkout -q --detach --no-overwrite-ignore "$commit"; then
        in_copy config binder.commit "$commit"
        say "Your copy was untouched, so it was brought to commit $commit."
    else
        say "Your copy could not be brought to commit $commit. It stays as it is."
    fi
}

# Whether a volume lies over the content.
is_hidden() {
    rest=${volumes:+$volumes:}
    while [ -n "$rest" ]; do
        case $content/ in "${rest%%:*}"/*) return 0 ;; esac
        rest=${rest#*:}
    done
    return 1
}

if [ -n "$copy" ] && is_hidden; then
    say "The image has the repository's content in $content, where a volume hides it. An administrator can mount the volume elsewhere."
    copy=
elif [ "$content" = / ]; then
    copy=
fi
if [ -n "$copy" ]; then
    if [ -e "$copy" ] || [ -L "$copy" ]; then
        trusting=$(mktemp) && printf '[safe]\n\tdirectory = *\n' >"$trusting"
        GIT_CONFIG_GLOBAL=$trusting update_copy
        rm -f "$trusting"
    elif ! make_copy; then
        rm -rf "$copy.part"
        say "The repository's content could not be copied, so you work in the image's own: changes are lost when the server stops."
        copy=$content
    fi
    cd "$copy" || exit 1
fi
if ! command -v "$1" >/dev/null; then
    say "missing program: $1"
    exit 127
fi
# Jupyter refuses to run as root unless it is told to.
[ "$(id -u)" != 0 ] || set -- "$@" --allow-root
exec "$@"
