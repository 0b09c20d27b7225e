# fish completion for unpaired
function __unpaired_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $before[1] __complete fish $before[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            set -l option (string match -r '^--[^=]*=' -- $current)
            for path in (__fish_complete_path (string replace -r '^--[^=]*=' '' -- $current))
                echo "$option$path"
            end
        else
            echo $line
        end
    end
end
complete -c unpaired -f -a '(__unpaired_complete)'
