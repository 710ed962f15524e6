# Completion of xenlab's tasks, labs and guests in fish.
function __xenlab_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l found ($program --complete fish $words[2..-1] "$typed" 2>/dev/null)
    if test "$found[1]" = :files
        set -l option (string match -r -- '^--[^=]*=' $typed)
        for file in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $typed))
            printf '%s%s\n' "$option" $file
        end
    else if set -q found[1]
        printf '%s\n' $found
    end
end
complete -c xenlab -f -a '(__xenlab_complete)'
complete -p '*/inv' -f -a '(__xenlab_complete)'
