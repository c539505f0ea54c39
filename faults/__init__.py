"""The fault suite: what happens to readers when something breaks under load (docs/faults.md).

post        the mail server that everything ends in, and that can misbehave
crowd       the load: visitors who subscribe and confirm, a digest, bounces
house       the processes of a house, each of which can be killed and started again
judging     what was lost, what came twice, what waits, what does not verify
apart       namespaces of its own, for what would touch the machine
breaking_…  the faults themselves, by what breaks
moving_on   a backup and an upgrade under load
catalogue   all of them, by name
"""
