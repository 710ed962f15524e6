#compdef xenlab
# Completion of xenlab's tasks, labs and guests in zsh.
_xenlab_complete() {
    local program=${words[1]/#\~/$HOME} IFS=$'\n'
    local -a found
    _compskip=all  # what a pattern completes, zsh would complete again as a file
    found=($($program --complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null))
    if [[ $found[1] == :files ]]; then
        compset -P '--*='
        _files
    elif (( $#found )); then
        _describe -V xenlab found
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _xenlab_complete xenlab
compdef -p _xenlab_complete '*/inv'
