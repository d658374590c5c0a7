#compdef translate
# Completions of translate for zsh. The program itself says what can stand at the cursor.
_translate() {
    local program=${words[1]/#\~/$HOME} line value
    local -a before candidates
    before=("${(@)words[2,CURRENT]}")
    # What follows an equals sign is completed by itself.
    compset -P '--*='
    for line in "${(@f)$("$program" complete-words -- "${(@)before}" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :files) _files ;;
            :directories) _files -/ ;;
            *)
                value=${line%%$'\t'*}
                [[ $value == --*=* ]] && value=${value#--*=}
                candidates+=("${value//:/\\:}:${line#*$'\t'}")
                ;;
        esac
    done
    (( $#candidates )) && _describe 'translate' candidates
    return 0
}
# Sourced or loaded from fpath.
if [[ $funcstack[1] == _translate ]]; then
    _translate "$@"
else
    compdef _translate translate
fi
