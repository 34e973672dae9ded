# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of spanloom's command line for bash.

_spanloom_values()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

# The list of an option that takes several: completes its last member.
_spanloom_list()
{
	local done=""

	[[ $2 == *,* ]] && done=${2%,*},
	mapfile -t COMPREPLY < <(compgen -P "$done" -W "$1" -- "${2##*,}")
}

_spanloom_run()
{
	case $1 in
	--exporter) _spanloom_list "console otlp none" "$2" ;;
	--console) _spanloom_values "tree json" "$2" ;;
	--route-heuristic | --python) _spanloom_values "on off" "$2" ;;
	--links) _spanloom_values "certain likely" "$2" ;;
	--hooks) _spanloom_values "auto tp fentry kprobe" "$2" ;;
	--inject) _spanloom_values "auto on off" "$2" ;;
	--tcp-option) _spanloom_values "on off" "$2" ;;
	--sdk) _spanloom_values "adopt ignore" "$2" ;;
	--log-level) _spanloom_values "error warn info debug" "$2" ;;
	--endpoint) _spanloom_values "http://localhost:4318" "$2" ;;
	--pid) _spanloom_list "$(cd /proc && printf '%s\n' [0-9]*)" "$2" ;;
	--exe | --exclude-exe | --inject-exclude) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
	--port | --duration | --routes | --ignore-path | --capture-bytes | --ring-size | \
		--max-connections | --idle-timeout | --response-timeout) ;;
	*)
		_spanloom_values "--pid --exe --exclude-exe --port --duration --exporter
			--endpoint --console --routes --route-heuristic --ignore-path
			--db-server-spans --links --sdk --python --inject --inject-exclude --tcp-option
			--capture-bytes --ring-size --max-connections --idle-timeout
			--response-timeout --hooks --log-level --help --usage" "$2"
		;;
	esac
}

_spanloom()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_spanloom_values "run check probes help --help --version" "$word"
		return
	fi
	# "--option=value" comes as three words
	[[ $before == "=" ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $word == "=" ]] && word=""
	case ${COMP_WORDS[1]} in
	run) _spanloom_run "$before" "$word" ;;
	check) _spanloom_values "--json --help --usage" "$word" ;;
	probes)
		[[ $before == --measure || $before == -m ]] ||
			_spanloom_values "--json --measure --help --usage" "$word"
		;;
	help) ((COMP_CWORD > 2)) || _spanloom_values "run check probes" "$word" ;;
	esac
}

complete -F _spanloom spanloom
