# Completion of xenlab's tasks, labs and guests in bash.
_xenlab_complete() {
    local IFS=$'\n' program=${COMP_WORDS[0]/#\~/$HOME} found
    found=$("$program" --complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [ "$found" = :files ]; then
        COMPREPLY=()
        compopt -o default -o bashdefault
    else
        COMPREPLY=($found)
    fi
}
complete -F _xenlab_complete PROGRAMS
