# Without the package bash-completion, what is used of it.
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    # The words of the line, joined where readline parts them at = and :.
    _get_comp_words_by_ref() {
        local line=$COMP_LINE i last=-1
        words=() cword=0
        for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
            if ((last < 0)) || [[ $line == [[:blank:]]* ]]; then
                words[++last]=
            fi
            line=${line#"${line%%[![:blank:]]*}"}
            line=${line#"${COMP_WORDS[i]}"}
            words[last]+=${COMP_WORDS[i]}
            ((i == COMP_CWORD)) && cword=$last
        done
        cur=${words[cword]} prev=
        ((cword > 0)) && prev=${words[cword - 1]}
        return 0
    }

    # Readline replaces only what follows the last colon.
    __ltrim_colon_completions() {
        local head=${1%"${1##*:}"} i
        [[ $1 == *:* && $COMP_WORDBREAKS == *:* ]] || return 0
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]=${COMPREPLY[i]#"$head"}
        done
    }
fi

