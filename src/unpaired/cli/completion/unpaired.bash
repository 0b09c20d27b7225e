# bash completion for unpaired (bash 3.2 and later)
_unpaired() {
    local line files= current=${COMP_WORDS[COMP_CWORD]}
    [[ $current == [=:] ]] && current=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then files=yes; else COMPREPLY+=("$line"); fi
    done < <("${1/#\~/$HOME}" __complete bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ -z $files ]]; then
        compopt +o default 2>/dev/null  # bash 3.2 has none, and offers files where nothing fits
    elif (( ${#COMPREPLY[@]} )); then  # without words of ours readline itself completes files
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
    fi
}
complete -o default -F _unpaired unpaired
