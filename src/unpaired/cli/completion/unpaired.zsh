#compdef unpaired
# zsh completion for unpaired
_unpaired() {
    local line files= done=1
    local -a found
    while IFS= read -r line; do
        if [[ $line == :files ]]; then files=yes; else found+=("$line"); fi
    done < <("${~words[1]}" __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    [[ $PREFIX == --*=* ]] && compset -P '*='
    (( $#found )) && _describe -V unpaired found && done=0
    [[ -n $files ]] && _files && done=0
    return done
}
if [[ ${funcstack[1]} == _unpaired ]]; then
    _unpaired "$@"
else
    compdef _unpaired unpaired
fi
