# Completions of translate for bash. The program itself says what can stand at the cursor.
_translate() {
    local program=${COMP_WORDS[0]/#\~/$HOME} current=${COMP_WORDS[COMP_CWORD]} candidate path
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        case $candidate in
            :files | :directories)
                # After an equals sign, where bash breaks words, the path begins anew.
                [[ $current == = ]] && current=
                compopt -o filenames 2>/dev/null
                while IFS= read -r path; do
                    COMPREPLY+=("$path")
                done < <(if [[ $candidate == :files ]]; then compgen -f -- "$current"; else compgen -d -- "$current"; fi)
                ;;
            *) COMPREPLY+=("$candidate") ;;
        esac
    done < <("$program" complete-words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _translate translate
