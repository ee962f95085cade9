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

# The home belongs to images whose user has one number, the first that came. Images with another user could not write to what lies there:
# their home is a folder of it.
find_home() {
    user=$(id -u) others=
    if [ ! -e "$HOME/.binder-user" ]; then
        for entry in "$HOME"/* "$HOME"/.[!.]*; do
            if [ -O "$entry" ]; then others= && break; fi
            if [ -d "$entry" ] && [ ! -w "$entry" ] && [ "${entry##*/}" != lost+found ]; then others=1; fi
        done
        [ -n "$others" ] || echo "$user" 2>/dev/null >"$HOME/.binder-user" || return 0
    fi
    if [ -n "$others" ] || [ "$(cat "$HOME/.binder-user")" != "$user" ]; then
        mkdir -p "$HOME/user-$user" || return 0
        say "Your home has files of images with another user (by number), so in this image, whose user is $user, your home is the folder user-$user of it."
        copy=$HOME/user-$user/${copy#"$HOME"/}
        export HOME="$HOME/user-$user"
    fi
}

# What the image has in its own home is seen behind what the person has: kernels, settings, programs, packages.
see_image_home() {
    image_home=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
    [ -d "$image_home/" ] && [ "$image_home" != / ] && [ "$image_home" != "$HOME" ] || return 0
    export JUPYTER_PATH="${JUPYTER_PATH:+$JUPYTER_PATH:}$HOME/.local/share/jupyter:$image_home/.local/share/jupyter"
    export JUPYTER_CONFIG_PATH="${JUPYTER_CONFIG_PATH:+$JUPYTER_CONFIG_PATH:}$HOME/.jupyter:$image_home/.jupyter"
    export PATH="$PATH:$image_home/.local/bin"
    for packages in "$image_home"/.local/lib/python3*/site-packages; do
        [ ! -d "$packages" ] || export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$HOME${packages#"$image_home"}:$packages"
    done
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
case $copy in
    "$HOME"/*)
        find_home
        see_image_home
        ;;
esac
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
