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

# The image's own home, if the person's is another one.
find_image_home() {
    image_home=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
    [ -d "$image_home/" ] && [ "$image_home" != / ] && ! [ "$image_home" -ef "$HOME" ] || image_home=
}

# What the image has for Jupyter, Python and the shell is seen behind what the person has, as are the settings of the repository.
see_image_home() {
    export JUPYTER_PATH="${JUPYTER_PATH:+$JUPYTER_PATH:}$HOME/.local/share/jupyter:$image_home/.local/share/jupyter"
    export JUPYTER_CONFIG_PATH="${JUPYTER_CONFIG_PATH:+$JUPYTER_CONFIG_PATH:}$HOME/.jupyter:$copy/.jupyter:$image_home/.jupyter"
    [ ! -d "$copy/.ipython" ] || export IPYTHONDIR="${IPYTHONDIR:-$copy/.ipython}"
    export PATH="$PATH:$image_home/.local/bin"
    for packages in "$image_home"/.local/lib/python3*/site-packages; do
        [ ! -d "$packages" ] || export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$HOME${packages#"$image_home"}:$packages"
    done
}

# What the image says of the content is said of the copy: where it is, and where packages in editable mode are imported from, which files
# with paths and setuptools' finders (name and folder in turn) tell.
point_to_copy() {
    [ -z "$REPO_DIR" ] || export REPO_DIR="$copy"
    prefix=${KERNEL_PYTHON_PREFIX:-$(command -v python3)}
    prefix=${prefix%/bin/python3}
    imports=$(cat "$prefix"/lib/python3*/site-packages/*.pth "$prefix"/lib/python3*/site-packages/__editable___*_finder.py 2>/dev/null |
        content=$content copy=$copy awk 'function tell(folder) {
            if (index(folder "/", ENVIRON["content"] "/") == 1) print ENVIRON["copy"] substr(folder, length(ENVIRON["content"]) + 1)
        }
        /^\// { tell($0) }
        /^MAPPING/ { count = split($0, words, "\047")
            for (word = 4; word <= count; word += 4) {
                for (parts = split(words[word - 2], part, "."); parts > 0; parts--) sub(/\/[^\/]*$/, "", words[word])
                tell(words[word])
            } }' | sort -u | paste -s -d : -)
    [ -z "$imports" ] || export PYTHONPATH="$imports${PYTHONPATH:+:$PYTHONPATH}"
}

# Run a command in a folder with the names on stdin, one a line, as its last arguments.
with_names() { (cd "$1" && shift && tr '\n' '\0' | xargs -0 "$@" 2>/dev/null); }

# Of files that are named on stdin: time, size and name of each, by which a change is noticed.
states_in() { with_names "$1" stat -c '%Y %s %n' --; }

# Names of files in the image's home but for those that `see_image_home` shows and those that programs make again, and those in $without.
names_in_image_home() {
    (cd "$image_home" && find . \( -path "$without" -o -path ./.git -o -path ./.cache -o -path ./.npm -o -path ./.local/bin -o -path ./.local/share/jupyter \
        -o -path './.local/lib/python3*' \) -prune -o \( -type f -o -type l \) -print 2>/dev/null | cut -c3-)
}

# Names of what is to be put into the home. Arguments: files with states of what was put there, is there, and is in the image's home.
names_to_put() {
    awk '{ name = $0; sub(/^[0-9]+ [0-9]+ /, "", name) }
        FILENAME == ARGV[1] { put[name] = $0 }
        FILENAME == ARGV[2] { here[name] = $0 }
        FILENAME == ARGV[3] && (!(name in here) || here[name] == put[name] && here[name] != $0) { print name }' "$@"
}

# What a start copies for each person; more is programs that an author has installed there.
most_megabytes=500

# Other files of the image's home come into the person's: what they made or changed stays, what they left as it was follows newer images.
# Where the image's home is the repository's content, what git knows is in the copy, and what a build has made beside it is linked.
put_image_home() {
    aside=$(mktemp -d) && echo . >"$aside/known" && touch "$HOME/.binder-home" || return 0
    if [ "$content" -ef "$image_home" ]; then
        git -c core.quotePath=false --git-dir="$content/.git" --work-tree="$content" ls-files >>"$aside/known" 2>/dev/null
        [ "$copy" = "$content" ] || link_to_copy
        without='./[!.]*'
    else
        without=./${content#"$image_home"/}
    fi
    names_in_image_home | grep -vxFf "$aside/known" | states_in "$image_home" >"$aside/image"
    cut -d ' ' -f 3- "$aside/image" | states_in "$HOME" >"$aside/here"
    names_to_put "$HOME/.binder-home" "$aside/here" "$aside/image" >"$aside/names"
    megabytes=$(with_names "$image_home" stat -c %s -- <"$aside/names" | awk '{ bytes += $1 } END { print int(bytes / 1048576) }')
    if [ "$megabytes" -gt "$most_megabytes" ]; then
        say "The image has $megabytes MB of files in its home, and no more than $most_megabytes MB are put into yours: they are in $image_home."
    elif [ -s "$aside/names" ]; then
        with_names "$HOME" rm -f -- <"$aside/names"
        with_names "$image_home" sh -c 'for name; do
            folder=$0/$name folder=${folder%/*}
            { [ -d "$folder" ] || mkdir -p "$folder"; } && cp -P -p -- "$name" "$0/$name"
        done' "$HOME" <"$aside/names"
        with_names "$HOME" chmod u+w -- <"$aside/names"
        states_in "$HOME" <"$aside/names" >"$aside/put"
        cat "$aside/put" >>"$HOME/.binder-home"
        [ ! -s "$aside/put" ] || say "Files that the image has in its home are in yours now: $(wc -l <"$aside/put")."
    fi
    rm -rf "$aside"
}

# Links in the home to what the build has made in the content; one of another copy's gives way.
link_to_copy() {
    cut -d / -f 1 "$aside/known" >"$aside/of-repository"
    for entry in "$copy"/*; do
        name=${entry##*/}
        if [ ! -e "$content/$name" ] || grep -qxF -e "$name" "$aside/of-repository"; then continue; fi
        case $(readlink "$HOME/$name") in "$HOME"/*/*/"$name") rm "$HOME/$name" ;; esac
        [ -e "$HOME/$name" ] || [ -L "$HOME/$name" ] || ln -s "$entry" "$HOME/$name"
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
image_home=
case $copy in
    "$HOME"/*)
        find_home
        find_image_home
        ;;
esac
if [ -n "$copy" ]; then
    trusting=$(mktemp) && printf '[safe]\n\tdirectory = *\n' >"$trusting"
    if [ -e "$copy" ] || [ -L "$copy" ]; then
        GIT_CONFIG_GLOBAL=$trusting update_copy
    elif ! make_copy; then
        rm -rf "$copy.part"
        say "The repository's content could not be copied, so you work in the image's own: changes are lost when the server stops."
        copy=$content
    fi
    [ "$copy" = "$content" ] || point_to_copy
    if [ -n "$image_home" ]; then
        see_image_home
        GIT_CONFIG_GLOBAL=$trusting put_image_home
    fi
    rm -f "$trusting"
    cd "$copy" || exit 1
fi
if ! command -v "$1" >/dev/null; then
    say "missing program: $1"
    exit 127
fi
# Jupyter refuses to run as root unless it is told to.
[ "$(id -u)" != 0 ] || set -- "$@" --allow-root
exec "$@"
