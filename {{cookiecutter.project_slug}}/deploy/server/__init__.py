"""_("How the commands of the server work. To run a site, nobody needs to read it.")"""
