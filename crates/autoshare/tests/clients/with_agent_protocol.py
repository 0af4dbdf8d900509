"""The package `agent-protocol-client`: every operation of its `AgentApi`, with a token by header."""

import asyncio
import os
import tempfile

from agent_protocol_client import AgentApi, ApiClient, ApiException, Configuration, StepRequestBody, TaskRequestBody

from said import env, tell


def client(token):
    made = ApiClient(Configuration(host=env("BASE")))
    made.set_default_header("Authorization", f"Bearer {token}")
    return made


async def operations(api):
    goal = "Write the word 'Washington' to a .txt file"
    body = TaskRequestBody(input=goal, additional_input={"language": "en"})
    task = await api.create_agent_task(task_request_body=body)
    tell("create_agent_task", [task.input, task.additional_input, task.artifacts])
    listed = await api.list_agent_tasks(current_page=1, page_size=10)
    tell("list_agent_tasks", [[one.task_id == task.task_id for one in listed.tasks], listed.pagination.total_items])
    again = await api.get_agent_task(task_id=task.task_id)
    tell("get_agent_task", again.input == goal)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "notes.txt")
        with open(path, "w") as file:
            file.write("a note")
        sent = await api.upload_agent_task_artifacts(task_id=task.task_id, file=path, relative_path="docs")
    tell("upload_agent_task_artifacts", [sent.file_name, sent.relative_path, sent.agent_created])

    steps = []
    while not steps or not steps[-1].is_last:
        words = StepRequestBody(input=goal if not steps else "y")
        steps.append(await api.execute_agent_task_step(task_id=task.task_id, step_request_body=words))
    tell("execute_agent_task_step", [[step.name, step.status, step.is_last] for step in steps])
    tell("artifacts of the steps", [[made.file_name for made in step.artifacts] for step in steps])
    known = await api.list_agent_task_steps(task_id=task.task_id)
    tell("list_agent_task_steps", [step.step_id for step in known.steps] == [step.step_id for step in steps])
    one = await api.get_agent_task_step(task_id=task.task_id, step_id=steps[-1].step_id)
    tell("get_agent_task_step", one.output)

    files = (await api.list_agent_task_artifacts(task_id=task.task_id)).artifacts
    files.sort(key=lambda file: file.file_name)
    tell("list_agent_task_artifacts", [[file.file_name, file.agent_created] for file in files])
    held = [await api.download_agent_task_artifact(task_id=task.task_id, artifact_id=file.artifact_id) for file in files]
    tell("download_agent_task_artifact", [bytes(content).decode() for content in held])


async def main():
    async with client(env("TOKEN")) as known:
        await operations(AgentApi(known))
    async with client(env("OTHER")) as stranger:
        listed = await AgentApi(stranger).list_agent_tasks()
        tell("another tenant's tasks", [len(listed.tasks), listed.pagination.total_items])
    async with client("as_none") as nobody:
        try:
            await AgentApi(nobody).list_agent_tasks()
        except ApiException as refused:
            tell("no token", refused.status)


asyncio.run(main())
