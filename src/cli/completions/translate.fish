# Completions of translate for fish. The program itself says what can stand at the cursor.
function __translate_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in (command $program complete-words -- $words "$current" 2>/dev/null)
        # What follows an equals sign is a path by itself.
        set -l option (string match -r -- '^--[^=]+=' "$current")
        set -l path (string replace -- "$option" '' "$current")
        switch $line
            case :files
                string replace -r -- '^' "$option" (__fish_complete_path $path)
            case :directories
                string replace -r -- '^' "$option" (__fish_complete_directories $path '')
            case '*'
                echo $line
        end
    end
end
complete -c translate -f -a '(__translate_complete)'
